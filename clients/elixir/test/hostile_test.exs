defmodule Wasmguard.HostileTest do
  @moduledoc "Whatever comes instead of an answer, nothing passes. (On Stop nothing goes on for ever.)"
  use ExUnit.Case, async: true

  @pass "{}"
  @allow ~s({"version": 1, "behavior": "allow"})
  @pre %{hook_event_name: "PreToolUse", tool_name: "Bash", tool_input: %{"command" => "ls"}, session_id: "s"}
  @question %{tool_name: "Bash", input: %{"command" => "ls"}}

  # For each, the one thing that is wrong with an answer that would let everything pass.
  @wrong [
    {"401", {:raw, Fake.said(@pass, "401 Unauthorized")}},
    {"403", {:raw, Fake.said(@pass, "403 Forbidden")}},
    {"404", {:raw, Fake.said(@pass, "404 Not Found")}},
    {"413", {:raw, Fake.said(@pass, "413 Content Too Large")}},
    {"500", {:raw, Fake.said(@pass, "500 Internal Server Error")}},
    {"503", {:raw, Fake.said(@pass, "503 Service Unavailable")}},
    {"201", {:raw, Fake.said(@pass, "201 Created")}},
    {"204", {:raw, "HTTP/1.1 204 No Content\r\n\r\n"}},
    {"100 and then 200", {:raw, "HTTP/1.1 100 Continue\r\n\r\n" <> Fake.said(@pass)}},
    {"a redirect", {:raw, Fake.said(@pass, "302 Found", "Location: /v1/hook/claude-code\r\n")}},
    {"another HTTP", {:raw, String.replace(Fake.said(@pass), "1.1", "1.0")}},
    {"no HTTP", {:raw, "{}"}},
    {"a greeting", {:raw, "220 mail.example ESMTP\r\n"}},
    {"an end at once", :close},
    {"silence", :hang},
    {"half a head", {:raw, "HTTP/1.1 200 OK\r\nContent-Type: appli"}},
    {"half a body", {:raw, String.replace(Fake.said(@pass), "Length: 2", "Length: 99")}},
    {"more than was announced", {:raw, Fake.said(@pass) <> "x"}},
    {"an empty body", {:raw, Fake.said("")}},
    {"blanks", {:raw, Fake.said("  ")}},
    {"no JSON", {:raw, Fake.said("OK")}},
    {"null", {:raw, Fake.said("null")}},
    {"a list", {:raw, Fake.said("[]")}},
    {"a text", {:raw, Fake.said(~s("{}"))}},
    {"two objects", {:raw, Fake.said("{}{}")}},
    {"a key twice", {:raw, Fake.said(~s({"decision": "block", "decision": "block"}))}},
    {"no length", {:raw, String.replace(Fake.said(@pass), "Content-Length: 2\r\n", "")}},
    {"two lengths", {:raw, Fake.said(@pass, "200 OK", "Content-Length: 2\r\n")}},
    {"a length that is none", {:raw, String.replace(Fake.said(@pass), "Length: 2", "Length: 0x2")}},
    {"a length without end", {:raw, String.replace(Fake.said(@pass), "Length: 2", "Length: 999999999")}},
    {"chunks", {:raw, Fake.said(@pass, "200 OK", "Transfer-Encoding: chunked\r\n")}},
    {"compression", {:raw, Fake.said(@pass, "200 OK", "Content-Encoding: gzip\r\n")}},
    {"another server", {:raw, String.replace(Fake.said(@pass), "Server: wasmguard", "Server: nginx")}},
    {"a server without a name", {:raw, String.replace(Fake.said(@pass), "Server: wasmguard\r\n", "")}},
    {"another type", {:raw, String.replace(Fake.said(@pass), "application/json", "text/html")}},
    {"a folded header", {:raw, Fake.said(@pass, "200 OK", "X: a\r\n b\r\n")}},
    {"headers without end", {:pieces, List.duplicate("X: " <> String.duplicate("y", 5_000) <> "\r\n", 50), 0}},
    {"a byte now and then", {:pieces, for(<<byte <- Fake.said(@pass)>>, do: <<byte>>), 50}},
    {"an unknown key", {:raw, Fake.said(~s({"verdict": "deny"}))}},
    {"a deny with a wrong type", {:raw, Fake.said(~s({"decision": true, "reason": "no"}))}},
    {"another event's answer",
     {:json, %{"hookSpecificOutput" => %{"hookEventName" => "Stop", "additionalContext" => "x"}}}},
    {"an answer without its event", {:json, %{"hookSpecificOutput" => %{"permissionDecision" => "allow"}}}},
    {"an answer for the event that says nothing",
     {:json, %{"hookSpecificOutput" => %{"hookEventName" => "PreToolUse"}}}},
    {"an answer for no event", {:json, %{"hookSpecificOutput" => %{}}}},
    {"null for an answer to the event", {:json, %{"hookSpecificOutput" => nil}}},
    {"a reason without a decision", {:json, %{"reason" => "no"}}},
    {"a decision without a reason", {:json, %{"decision" => "block"}}},
    {"an approval in old words", {:json, %{"decision" => "approve", "reason" => "x"}}},
    {"an end without a reason", {:json, %{"continue" => false}}},
    {"a permission without a reason",
     {:json, %{"hookSpecificOutput" => %{"hookEventName" => "PreToolUse", "permissionDecision" => "allow"}}}},
    {"an unknown decision",
     {:json, %{"hookSpecificOutput" => %{"hookEventName" => "PreToolUse", "permissionDecision" => "Allow"}}}},
    {"defer", {:json, %{"hookSpecificOutput" => %{"hookEventName" => "PreToolUse", "permissionDecision" => "defer"}}}},
    {"an input that is none",
     {:json,
      %{
        "hookSpecificOutput" => %{
          "hookEventName" => "PreToolUse",
          "permissionDecision" => "allow",
          "updatedInput" => "ls"
        }
      }}},
    {"a block and an allow",
     {:json,
      %{
        "decision" => "block",
        "reason" => "no",
        "hookSpecificOutput" => %{"hookEventName" => "PreToolUse", "permissionDecision" => "allow"}
      }}},
    {"an unknown key beside an allow",
     {:json,
      %{"hookSpecificOutput" => %{"hookEventName" => "PreToolUse", "permissionDecision" => "allow", "unless" => 1}}}}
  ]

  for {name, reply} <- @wrong do
    @tag reply: reply
    test "#{name} instead of an answer denies", %{reply: reply} do
      options =
        Fake.options(reply, timeout: if(reply == :hang or match?({:pieces, _, 50}, reply), do: 300, else: 5_000))

      assert {:deny, "wasmguard: " <> _} = Wasmguard.hook(options).(@pre, "t")
      assert {:deny, "wasmguard: " <> _} = Wasmguard.can_use_tool(options).(@question, nil)

      assert {:reject, "wasmguard: " <> _} =
               Wasmguard.hook(options).(%{hook_event_name: "UserPromptSubmit", prompt: "x"}, nil)

      assert Wasmguard.hook(options).(%{hook_event_name: "Stop"}, nil) == :ok
      assert Wasmguard.hook(options).(%{hook_event_name: "SubagentStop"}, nil) == :ok
    end
  end

  for {name, text} <- [
        {"a pass of the hook form", "{}"},
        {"no version", ~s({"behavior": "allow"})},
        {"another version", ~s({"version": 2, "behavior": "allow"})},
        {"a version that looks alike", ~s({"version": "1", "behavior": "allow"})},
        {"a version as a double", ~s({"version": 1.0, "behavior": "allow"})},
        {"no behavior", ~s({"version": 1})},
        {"an unknown behavior", ~s({"version": 1, "behavior": "allowed"})},
        {"an ask that nobody wanted", ~s({"version": 1, "behavior": "ask"})},
        {"an unknown key", ~s({"version": 1, "behavior": "allow", "once": true})},
        {"an allow with a message", ~s({"version": 1, "behavior": "allow", "message": "but"})},
        {"an input that is none", ~s({"version": 1, "behavior": "allow", "updatedInput": null})},
        {"updates that are none", ~s({"version": 1, "behavior": "allow", "updatedPermissions": [1]})},
        {"an interrupt that is none", ~s({"version": 1, "behavior": "deny", "message": "x", "interrupt": 1})},
        {"both behaviors", ~s({"version": 1, "behavior": "deny", "behavior": "allow"})}
      ] do
    @text text
    test "can_use_tool: #{name} denies" do
      assert {:deny, "wasmguard: " <> _} =
               Wasmguard.can_use_tool(Fake.options({:raw, Fake.said(@text)})).(@question, nil)
    end
  end

  test "a daemon that is not there denies, and says how to start it" do
    assert {:deny, why} = Wasmguard.hook(Fake.nobody()).(@pre, "t")
    assert why =~ "wasmguard serve --daemon"
    assert {:deny, _} = Wasmguard.can_use_tool(Fake.nobody()).(@question, nil)
    assert Wasmguard.hook(Fake.nobody()).(%{hook_event_name: "Stop"}, nil) == :ok
  end

  test "what JSON cannot say denies, and nothing is sent" do
    for bad <- [self(), {1, 2}, fn -> 1 end, <<0xFF>>, [1 | 2], %{1 => 2}, %URI{}] do
      options = Fake.options({:raw, Fake.said(@allow)})
      assert {:deny, "wasmguard: " <> _} = Wasmguard.hook(options).(%{@pre | tool_input: %{"x" => bad}}, "t")
      assert {:deny, "wasmguard: " <> _} = Wasmguard.can_use_tool(options).(%{@question | input: %{"x" => bad}}, nil)
      refute_received {:asked, _, _}
    end
  end

  test "what is no event and no question denies" do
    options = Fake.options({:raw, Fake.said(@allow)})

    for input <- [%{}, %{hook_event_name: ""}, %{hook_event_name: 1}, nil, [], "x", %{tool_name: "x"}, %{input: %{}}] do
      assert {:deny, _} = Wasmguard.hook(options).(input, nil)
      assert {:deny, _} = Wasmguard.can_use_tool(options).(input, nil)
    end

    refute_received {:asked, _, _}
  end

  test "a token file that is not there, or open to others, denies" do
    options = Keyword.delete(Fake.options({:raw, Fake.said(@pass)}), :token)
    assert {:deny, _} = Wasmguard.hook([token_file: "/nowhere/token"] ++ options).(@pre, nil)
    path = Path.join(System.tmp_dir!(), "wasmguard-token-#{:os.getpid()}")
    File.write!(path, Fake.token())
    File.chmod!(path, 0o644)
    on_exit(fn -> File.rm!(path) end)
    assert {:deny, why} = Wasmguard.hook([token_file: path] ++ options).(@pre, nil)
    assert why =~ "open to others"
    refute_received {:asked, _, _}
  end

  test "a hundred questions at once all get their own answer" do
    reply = fn body ->
      {:json,
       %{
         "hookSpecificOutput" => %{
           "hookEventName" => "PreToolUse",
           "permissionDecision" => "deny",
           "permissionDecisionReason" => body["tool_input"]["command"]
         }
       }}
    end

    hook = Wasmguard.hook(Fake.options(reply))

    1..100
    |> Enum.map(fn n ->
      {n, Task.async(fn -> hook.(%{@pre | tool_input: %{"command" => "#{n}"}}, nil) end)}
    end)
    |> Enum.each(fn {n, task} -> assert Task.await(task, 30_000) == {:deny, "#{n}"} end)
  end

  test "nothing is left behind in the process that asks" do
    Process.flag(:trap_exit, true)
    options = Fake.options(:hang, timeout: 50)
    for _ <- 1..5, do: assert({:deny, _} = Wasmguard.hook(options).(@pre, nil))
    Process.sleep(300)
    for _ <- 1..5, do: assert_received({:asked, _, _})
    refute_received _
  end

  test "an input that takes too long to write is denied, and nothing of it comes later" do
    long = Enum.to_list(1..3_000_000)

    assert {:deny, "wasmguard: no answer came in time"} =
             Wasmguard.hook(Fake.nobody(timeout: 1)).(%{@pre | tool_input: long}, nil)

    Process.sleep(200)
    refute_received _
  end

  test "the answer comes in time, whatever the daemon does" do
    for reply <- [:hang, {:pieces, List.duplicate("x", 1_000), 20}] do
      begun = System.monotonic_time(:millisecond)
      assert {:deny, why} = Wasmguard.hook(Fake.options(reply, timeout: 200)).(@pre, nil)
      assert System.monotonic_time(:millisecond) - begun < 5_000
      assert why =~ "in time"
    end
  end

  test "a reason never holds the token" do
    for {_, reply} <- @wrong, reply != :hang, not match?({:pieces, _, _}, reply) do
      assert {:deny, why} = Wasmguard.hook(Fake.options(reply)).(@pre, nil)
      refute why =~ Fake.token()
      refute why =~ "\n"
    end
  end
end
