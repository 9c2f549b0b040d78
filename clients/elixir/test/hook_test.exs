defmodule Wasmguard.HookTest do
  use ExUnit.Case, async: true

  alias ClaudeCode.Hook.Output

  @pre %{
    :hook_event_name => "PreToolUse",
    :tool_name => "Write",
    :tool_input => %{"file_path" => "/etc/x", "content" => "x"},
    :session_id => "s",
    :cwd => "/tmp",
    "permission_mode" => "default"
  }
  @question %{tool_name: "Write", input: %{"file_path" => "/etc/x"}, permission_suggestions: nil, blocked_path: nil}
  @moved %{"file_path" => "/sandbox/etc/x"}

  defp pre(said), do: %{"hookSpecificOutput" => Map.put(said, "hookEventName", "PreToolUse")}

  defp decided(word, more \\ %{}),
    do: pre(Map.merge(%{"permissionDecision" => word, "permissionDecisionReason" => "why"}, more))

  defp blocked, do: %{"decision" => "block", "reason" => "why"}
  defp told(event, text), do: %{"hookSpecificOutput" => %{"hookEventName" => event, "additionalContext" => text}}

  # What the callback answers to an event when the daemon says `answer`.
  defp hook(event, answer, more) do
    event = if is_binary(event), do: %{hook_event_name: event, session_id: "s"}, else: event
    Wasmguard.hook(Fake.options({:json, answer}, more)).(event, "toolu_1")
  end

  defp permitted(answer, more \\ []) do
    Wasmguard.can_use_tool(Fake.options({:json, Map.put(answer, "version", 1)}, more)).(@question, nil)
  end

  describe "what the daemon is asked" do
    test "a hook's event goes as it came, with the id of the call" do
      hook(@pre, %{}, [])
      assert_received {:asked, head, body}
      assert head =~ ~r"\APOST /v1/hook/claude-code HTTP/1.1\r\n"
      assert head =~ "\r\nAuthorization: Bearer #{Fake.token()}\r\n"
      assert head =~ ~r"\r\nHost: 127.0.0.1:\d+\r\n"
      expected = Map.new(@pre, fn {key, value} -> {to_string(key), value} end)
      assert body == Map.put(expected, "tool_use_id", "toolu_1")
    end

    test "can_use_tool asks in the callback form" do
      permitted(%{"behavior" => "allow"})
      assert_received {:asked, head, body}
      assert head =~ ~r"\APOST /v1/can-use-tool HTTP/1.1\r\n"

      assert body == %{
               "version" => 1,
               "toolName" => "Write",
               "input" => %{"file_path" => "/etc/x"},
               "asks" => false,
               "unasked" => "deny",
               "judged" => false
             }
    end

    test "can_use_tool passes on what the SDK knows about the call" do
      known = %{
        session_id: "s",
        cwd: "/w",
        permission_mode: "plan",
        agent_id: "a",
        tool_use_id: "t",
        transcript_path: "/t",
        permission_suggestions: [%{"type" => "setMode"}]
      }

      Wasmguard.can_use_tool(Fake.options({:json, %{"version" => 1, "behavior" => "allow"}}, unasked: :pass)).(
        Map.merge(@question, known),
        "t"
      )

      assert_received {:asked, _, body}
      assert %{"sessionId" => "s", "cwd" => "/w", "permissionMode" => "plan", "agentID" => "a"} = body
      assert %{"toolUseID" => "t", "transcriptPath" => "/t", "unasked" => "pass"} = body
      assert body["suggestions"] == [%{"type" => "setMode"}]
    end

    test "fields of the configuration fill what is missing, and nothing else" do
      hook(@pre, %{}, fields: %{session_id: "mine", transcript_path: "/mine", permission_mode: "plan"})
      assert_received {:asked, _, body}
      assert %{"session_id" => "s", "transcript_path" => "/mine", "permission_mode" => "default"} = body
      permitted(%{"behavior" => "allow"}, fields: %{"session_id" => "mine", cwd: "/w"})
      assert_received {:asked, _, %{"sessionId" => "mine", "cwd" => "/w"}}
    end
  end

  describe "can_use_tool" do
    @answers [
      {%{"behavior" => "allow"}, :allow, :allow},
      {%{"behavior" => "allow", "updatedInput" => @moved}, {:allow, @moved}, {:allow, updated_input: @moved}},
      {%{"behavior" => "allow", "updatedInput" => @moved, "updatedPermissions" => [%{"type" => "setMode"}]},
       {:allow, @moved, permissions: [%{"type" => "setMode"}]},
       {:allow, updated_input: @moved, updated_permissions: [%{"type" => "setMode"}]}},
      {%{"behavior" => "deny", "message" => "no"}, {:deny, "no"}, {:deny, message: "no"}},
      {%{"behavior" => "deny", "message" => "no", "interrupt" => true}, {:deny, "no", interrupt: true},
       {:deny, message: "no", interrupt: true}},
      {%{"behavior" => "deny", "message" => " "}, {:deny, "refused by wasmguard"},
       {:deny, message: "refused by wasmguard"}}
    ]

    for {{answer, guide, keywords}, n} <- Enum.with_index(@answers) do
      @tag said: {answer, guide, keywords}
      test "answer #{n} in the words of each SDK", %{said: {answer, guide, keywords}} do
        assert permitted(answer, sdk: :guide) == guide
        assert permitted(answer, sdk: :tuples) == guide
        assert permitted(answer, sdk: :keywords) == keywords
        wire = Output.wire_of_permission(keywords)
        assert wire["behavior"] == answer["behavior"]
        assert wire["updatedInput"] == answer["updatedInput"]
        assert wire["updatedPermissions"] == answer["updatedPermissions"]
      end
    end

    test "permission updates without a new input go with the old one, as the guide has no other form" do
      updates = [%{"type" => "setMode", "mode" => "plan"}]
      answer = %{"behavior" => "allow", "updatedPermissions" => updates}
      assert permitted(answer) == {:allow, @question.input, permissions: updates}
      assert permitted(answer, sdk: :keywords) == {:allow, updated_permissions: updates}
    end
  end

  describe "a human" do
    defp asked(human, answer \\ %{"behavior" => "ask", "message" => "sure?"}) do
      permitted(answer, human: human)
    end

    test "is asked where the policies want that, and with what they left of the input" do
      test = self()

      answer =
        asked(
          fn input, id ->
            send(test, {:human, input.input, id})
            :allow
          end,
          %{"behavior" => "ask", "updatedInput" => @moved}
        )

      assert_received {:asked, _, %{"asks" => true}}
      assert_received {:human, @moved, nil}
      assert answer == {:allow, @moved}
    end

    test "may deny, and end the run" do
      assert asked(fn _, _ -> {:deny, "not today"} end) == {:deny, "not today"}
      assert asked(fn _, _ -> {:deny, "stop", interrupt: true} end) == {:deny, "stop", interrupt: true}
    end

    test "may allow, with permission updates" do
      assert asked(fn _, _ -> :allow end) == :allow
      update = [%{"type" => "setMode"}]

      assert {:allow, %{"file_path" => "/etc/x"}, permissions: ^update} =
               asked(fn i, _ -> {:allow, i.input, permissions: update} end)
    end

    test "who raises, exits, throws or says nonsense denies" do
      for human <- [
            fn _, _ -> raise "x" end,
            fn _, _ -> exit(:x) end,
            fn _, _ -> throw(:x) end,
            fn _, _ -> :yes end,
            fn _, _ -> nil end,
            fn _, _ -> {:allow, "ls"} end,
            fn _, _ -> {:allow, %{"x" => self()}} end
          ] do
        assert {:deny, "wasmguard: " <> _} = asked(human)
      end
    end

    test "is not asked about what is settled" do
      human = fn _, _ -> flunk("asked") end
      assert asked(human, %{"behavior" => "allow"}) == :allow
      assert asked(human, %{"behavior" => "deny", "message" => "no"}) == {:deny, "no"}
    end

    test "what he changed is judged again" do
      reply = fn
        %{"input" => %{"file_path" => "/etc/shadow"}} ->
          {:json, %{"version" => 1, "behavior" => "deny", "message" => "no"}}

        %{"input" => %{"file_path" => "/b"}} ->
          {:json, %{"version" => 1, "behavior" => "ask", "updatedInput" => @moved}}

        _ ->
          {:json, %{"version" => 1, "behavior" => "ask"}}
      end

      change = fn path ->
        human = fn _, _ -> {:allow, %{"file_path" => path}} end
        Wasmguard.can_use_tool(Fake.options(reply, human: human, judged: true)).(@question, nil)
      end

      assert change.("/etc/shadow") == {:deny, "no"}
      assert_received {:asked, _, %{"judged" => true}}
      assert_received {:asked, _, %{"judged" => false}}
      assert change.("/a") == {:allow, %{"file_path" => "/a"}}
      assert change.("/b") == {:allow, @moved}
    end
  end

  describe "PreToolUse" do
    test "no opinion is no opinion, in every SDK" do
      for words <- [:guide, :tuples, :keywords], do: assert(hook(@pre, %{}, sdk: words) == :ok)
      assert Output.wire(:ok, "PreToolUse") == %{}
    end

    test "a deny is a deny with its reason" do
      for words <- [:guide, :tuples], do: assert(hook(@pre, decided("deny"), sdk: words) == {:deny, "why"})
      answer = hook(@pre, decided("deny"), sdk: :keywords)
      assert answer == {:deny, permission_decision_reason: "why"}
      assert Output.wire(answer, "PreToolUse") == decided("deny")
    end

    test "an ask is an ask, or a deny where hooks cannot ask" do
      for words <- [:guide, :tuples],
          do: assert({:deny, "why\nwasmguard: " <> _} = hook(@pre, decided("ask"), sdk: words))

      assert Output.wire(hook(@pre, decided("ask"), sdk: :keywords), "PreToolUse") == decided("ask")
    end

    test "an allow is an allow, and where that cannot be said no opinion" do
      assert hook(@pre, decided("allow"), sdk: :guide) == :allow
      assert Output.wire(hook(@pre, decided("allow"), sdk: :keywords), "PreToolUse") == decided("allow")
    end

    test "a changed input with an allow goes through" do
      answer = decided("allow", %{"updatedInput" => @moved})
      for words <- [:guide, :tuples], do: assert(hook(@pre, answer, sdk: words) == {:allow, @moved})
      assert Output.wire(hook(@pre, answer, sdk: :keywords), "PreToolUse") == answer
    end

    test "a changed input without an allow does not allow the call" do
      answer = pre(%{"updatedInput" => @moved})
      for words <- [:guide, :tuples], do: assert({:deny, "wasmguard: " <> _} = hook(@pre, answer, sdk: words))
      assert hook(@pre, answer, sdk: :guide, rewrite_allows: true) == {:allow, @moved}
      assert hook(@pre, answer, sdk: :keywords) == {:ok, updated_input: @moved}
      assert Output.wire({:ok, updated_input: @moved}, "PreToolUse") == answer
      asks = decided("ask", %{"updatedInput" => @moved})
      assert {:deny, _} = hook(@pre, asks, sdk: :guide, rewrite_allows: true)
      assert Output.wire(hook(@pre, asks, sdk: :keywords), "PreToolUse") == asks
    end

    test "a deny that ends the run denies, and ends it where that can be said" do
      answer = Map.merge(decided("deny"), %{"continue" => false, "stopReason" => "why"})
      for words <- [:guide, :tuples], do: assert(hook(@pre, answer, sdk: words) == {:deny, "why"})
      assert Output.wire(hook(@pre, answer, sdk: :keywords), "PreToolUse") == answer
    end

    test "a context is said where it can be" do
      answer = told("PreToolUse", "careful")
      assert hook(@pre, answer, sdk: :guide) == :ok
      assert Output.wire(hook(@pre, answer, sdk: :keywords), "PreToolUse") == answer
    end
  end

  describe "the other events" do
    test "no opinion is :ok" do
      for words <- [:guide, :tuples, :keywords], event <- Wasmguard.SDK.events(:keywords) do
        assert hook(to_string(event), %{}, sdk: words) == :ok
      end
    end

    test "a prompt is rejected" do
      for words <- [:guide, :tuples], do: assert(hook("UserPromptSubmit", blocked(), sdk: words) == {:reject, "why"})
      assert hook("UserPromptSubmit", blocked(), sdk: :keywords) == {:block, reason: "why"}
      assert Output.wire({:block, reason: "why"}, "UserPromptSubmit") == blocked()
    end

    test "who shall go on working goes on: what 0.18 to 0.31 write for the guide's word would end the run" do
      for event <- ["Stop", "SubagentStop"] do
        assert hook(event, blocked(), sdk: :guide) == {:continue, "why"}
        assert hook(event, blocked(), sdk: :tuples) == {:reject, "why"}
        assert Output.wire(hook(event, blocked(), sdk: :keywords), event) == blocked()
      end
    end

    test "a compaction gets its instructions, or is blocked" do
      answer = %{"systemMessage" => "keep the plan"}

      for words <- [:guide, :tuples],
          do: assert(hook("PreCompact", answer, sdk: words) == {:instructions, "keep the plan"})

      assert Output.wire(hook("PreCompact", answer, sdk: :keywords), "PreCompact") == answer

      answer = Map.put(blocked(), "systemMessage", "why")
      for words <- [:guide, :tuples], do: assert(hook("PreCompact", answer, sdk: words) == {:reject, "why"})
      assert Output.wire(hook("PreCompact", answer, sdk: :keywords), "PreCompact") == answer
    end

    test "nobody else speaks to the user" do
      for event <- ["PreToolUse", "UserPromptSubmit"], words <- [:guide, :keywords] do
        assert {word, _} = hook(event, %{"systemMessage" => "hello"}, sdk: words)
        assert word in [:deny, :reject, :block]
      end
    end

    test "an agent that stops may be let go, whatever else is said" do
      answer = %{"continue" => false, "stopReason" => "enough"}
      assert hook("Stop", answer, sdk: :guide) == :ok
      assert hook("Stop", answer, sdk: :tuples) == {:continue, "enough"}
      assert Output.wire(hook("Stop", answer, sdk: :keywords), "Stop") == answer
    end

    test "a change of the model is judged like a call" do
      denied = %{
        "permissionDecision" => "deny",
        "permissionDecisionReason" => "no",
        "hookEventName" => "PreModelSwitch"
      }

      for said <- [denied, %{denied | "permissionDecision" => "ask"}] do
        answer = %{"hookSpecificOutput" => said}
        for words <- [:guide, :tuples], do: assert(hook("PreModelSwitch", answer, sdk: words) == {:reject, "no"})
        assert Output.wire(hook("PreModelSwitch", answer, sdk: :keywords), "PreModelSwitch") == answer
      end
    end

    test "what a policy says about a call that was made reaches the model where the SDK can say it" do
      answer = Map.merge(blocked(), told("PostToolUse", "careful"))
      assert hook("PostToolUse", answer, sdk: :guide) == :ok
      assert hook("PostToolUse", answer, sdk: :tuples) == {:reject, "why"}
      assert Output.wire(hook("PostToolUse", answer, sdk: :keywords), "PostToolUse") == answer

      assert Output.wire(hook("PostToolUse", told("PostToolUse", "x"), sdk: :keywords), "PostToolUse") ==
               told("PostToolUse", "x")
    end

    test "a changed output is changed, or the run ends before the model goes on with the old one" do
      for {key, output} <- [
            {"updatedToolOutput", %{"stdout" => "*"}},
            {"updatedMCPToolOutput", ["*"]},
            {"updatedToolOutput", "*"}
          ] do
        answer = %{"hookSpecificOutput" => %{"hookEventName" => "PostToolUse", key => output}}

        for words <- [:guide, :tuples],
            do: assert({:continue, "wasmguard: " <> _} = hook("PostToolUse", answer, sdk: words))

        assert Output.wire(hook("PostToolUse", answer, sdk: :keywords), "PostToolUse") == answer
      end
    end

    test "the end of the run is said as such" do
      answer = %{"continue" => false, "stopReason" => "enough"}
      assert hook("PostToolUse", answer, sdk: :tuples) == {:continue, "enough"}
      assert Output.wire(hook("PostToolUse", answer, sdk: :keywords), "PostToolUse") == answer
    end

    test "a permission request is answered" do
      denied = %{"behavior" => "deny", "message" => "no", "interrupt" => true}
      allowed = %{"behavior" => "allow", "updatedPermissions" => [%{"type" => "setMode"}]}

      for decision <- [denied, allowed, Map.delete(allowed, "updatedPermissions")] do
        answer = %{"hookSpecificOutput" => %{"hookEventName" => "PermissionRequest", "decision" => decision}}
        assert Output.wire(hook("PermissionRequest", answer, sdk: :keywords), "PermissionRequest") == answer
      end
    end

    test "nobody answers: what can be stopped is stopped, what has happened has happened" do
      for {words, {deny, block}} <- [
            guide: {&{:deny, &1}, &{:reject, &1}},
            tuples: {&{:deny, &1}, &{:reject, &1}},
            keywords: {&{:deny, [permission_decision_reason: &1]}, &{:block, [reason: &1]}}
          ] do
        hook = Wasmguard.hook(Fake.nobody(sdk: words))
        call = fn event -> hook.(%{hook_event_name: event}, nil) end
        {:deny, why} = Wasmguard.hook(Fake.nobody(sdk: :guide)).(@pre, nil)
        why = Regex.replace(~r/:\d+/, why, ":0")
        same = fn answer -> Regex.replace(~r/:\d+/, inspect(answer), ":0") end
        assert same.(call.("PreToolUse")) == inspect(deny.(why))
        for event <- ["UserPromptSubmit", "ConfigChange"], do: assert(same.(call.(event)) == inspect(block.(why)))

        for event <- ["Stop", "SubagentStop", "PostToolUse", "PostToolUseFailure", "Notification", "SubagentStart"],
            do: assert(call.(event) == :ok)
      end
    end

    test "an output that nobody could judge ends the run, if that is wanted" do
      assert {:continue, "wasmguard: " <> _} =
               Wasmguard.hook(Fake.nobody(output_or_end: true)).(%{hook_event_name: "PostToolUse"}, nil)

      answer = Wasmguard.hook(Fake.nobody(output_or_end: true, sdk: :keywords)).(%{hook_event_name: "PostToolUse"}, nil)
      assert %{"continue" => false, "stopReason" => "wasmguard: " <> _} = Output.wire(answer, "PostToolUse")
    end

    test "without an answer can_use_tool denies in the words of each SDK" do
      assert {:deny, "wasmguard: " <> _} = Wasmguard.can_use_tool(Fake.nobody()).(@question, nil)

      assert {:deny, [message: "wasmguard: " <> _]} =
               Wasmguard.can_use_tool(Fake.nobody(sdk: :keywords)).(@question, nil)
    end
  end
end
