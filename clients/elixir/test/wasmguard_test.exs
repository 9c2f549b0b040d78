defmodule WasmguardTest do
  use ExUnit.Case

  alias Wasmguard.{Config, SDK}

  describe "hooks" do
    test "are for every event of the guide, and the client waits longer than we do" do
      hooks = Wasmguard.hooks(Fake.nobody(timeout: 3_000))

      for event <- ~w(PreToolUse PostToolUse PostToolUseFailure UserPromptSubmit Stop SubagentStart SubagentStop
                      PreCompact Notification)a do
        assert [%{hooks: [hook], timeout: seconds}] = hooks[event]
        assert is_function(hook, 2)
        assert seconds > 3
      end
    end

    test "match the names of tools where there are tools" do
      hooks = Wasmguard.hooks(Fake.nobody(matcher: "Write|Edit", seconds: 30))
      assert [%{matcher: "Write|Edit", timeout: 30}] = hooks[:PreToolUse]
      assert [%{matcher: "Write|Edit"}] = hooks[:PostToolUse]
      assert [stop] = hooks[:Stop]
      refute is_map_key(stop, :matcher)
    end

    test "may be fewer" do
      assert [:Stop] = Map.keys(Wasmguard.hooks(Fake.nobody(events: [:Stop])))
    end

    test "that the client would not wait for are refused" do
      assert_raise ArgumentError, fn -> Wasmguard.hooks(Fake.nobody(timeout: 30_000, seconds: 30)) end
    end

    test "and can_use_tool together are what a session takes" do
      options = Fake.nobody(matcher: "Bash", sdk: :keywords)
      assert [hooks: %{PreToolUse: [_]} = hooks, can_use_tool: can_use_tool] = Wasmguard.options(options)
      assert is_function(can_use_tool, 2)
      refute is_map_key(hooks, :PermissionRequest)
      assert is_map_key(Wasmguard.hooks(options), :PermissionRequest)
    end
  end

  describe "the configuration" do
    for {name, wrong} <- [
          {"another machine", [url: "http://example.com:80"]},
          {"a machine that looks alike", [url: "http://127.0.0.1.example.com:80"]},
          {"all interfaces", [url: "http://0.0.0.0:80"]},
          {"a user in the URL", [url: "http://127.0.0.1@example.com:80"]},
          {"https", [url: "https://127.0.0.1:80"]},
          {"a path", [url: "http://127.0.0.1:80/v1/hook/claude-code"]},
          {"no URL", [url: "127.0.0.1:80"]},
          {"a token that breaks its header", [token: "x\r\nX: y" <> String.duplicate("t", 36)]},
          {"a short token", [token: "t"]},
          {"an unknown option", [tokn: "t"]},
          {"no time", [timeout: 0]},
          {"endless time", [timeout: :infinity]},
          {"unknown words", [sdk: :maps]},
          {"an unknown word", [unasked: :allow]},
          {"a human that is none", [human: :me]},
          {"no boolean", [rewrite_allows: "yes"]}
        ] do
      @wrong wrong
      test "#{name} is refused at the start" do
        for make <- [&Wasmguard.hooks/1, &Wasmguard.hook/1, &Wasmguard.can_use_tool/1, &Wasmguard.tool_callback/1] do
          assert_raise ArgumentError, fn -> make.(Keyword.merge(Fake.nobody(), @wrong)) end
        end
      end
    end

    test "localhost and ::1 are this machine" do
      assert {:ok, _} = Config.new(url: "http://localhost:1")
      assert {:ok, _} = Config.new(url: "http://[::1]:1/")
    end

    test "the words of a claude_code that is loaded are found out" do
      assert SDK.found(:auto) == :keywords
    end
  end

  describe "the module" do
    setup do
      on_exit(fn -> for {key, _} <- Application.get_all_env(:wasmguard), do: Application.delete_env(:wasmguard, key) end)
    end

    defp configured(options), do: for({key, value} <- options, do: Application.put_env(:wasmguard, key, value))

    test "takes its configuration from the application, and knows its two uses apart" do
      configured(
        Fake.options(fn
          %{"hook_event_name" => _} -> {:json, %{}}
          %{"toolName" => _} -> {:json, %{"version" => 1, "behavior" => "allow"}}
        end)
      )

      assert Wasmguard.Hook.call(%{hook_event_name: "PreToolUse", tool_name: "Bash", tool_input: %{}}, "t") == :ok
      assert Wasmguard.Hook.call(%{tool_name: "Bash", input: %{}}, nil) == :allow
    end

    test "denies where the configuration is wrong" do
      configured(url: "http://example.com", sdk: :guide)
      assert {:deny, [permission_decision_reason: why]} = Wasmguard.Hook.call(%{hook_event_name: "PreToolUse"}, nil)
      assert why =~ "another machine"
      assert {:deny, said} = Wasmguard.Hook.call(%{tool_name: "Bash", input: %{}}, nil)
      assert said[:message] =~ "another machine"
      assert Wasmguard.Hook.call(%{hook_event_name: "Stop"}, nil) == :ok
    end
  end

  describe "tool_callback" do
    @event %{
      name: "Bash",
      tool_use_id: "toolu_1",
      input: %{"command" => "ls"},
      result: "a\nb",
      is_error: false,
      timestamp: ~U[2026-01-02 03:04:05Z]
    }

    test "tells what ran, as the client's own hook would" do
      assert Wasmguard.tool_callback(Fake.options({:json, %{}}, fields: %{session_id: "s"})).(@event) == :ok
      assert_receive {:asked, head, body}, 5_000
      assert head =~ "POST /v1/hook/claude-code "

      assert body == %{
               "hook_event_name" => "PostToolUse",
               "tool_name" => "Bash",
               "tool_use_id" => "toolu_1",
               "tool_input" => %{"command" => "ls"},
               "tool_response" => "a\nb",
               "timestamp" => "2026-01-02T03:04:05Z",
               "session_id" => "s"
             }
    end

    test "tells what failed" do
      Wasmguard.tool_callback(Fake.options({:json, %{}})).(%{@event | is_error: true, result: nil})
      assert_receive {:asked, _, %{"hook_event_name" => "PostToolUseFailure", "error" => ""}}, 5_000
    end

    test "never raises and never waits, whatever it is given and whoever does not answer" do
      begun = System.monotonic_time(:millisecond)

      for callback <- [Wasmguard.tool_callback(Fake.options(:hang)), Wasmguard.tool_callback(Fake.nobody())],
          event <- [@event, %{}, nil, %{@event | input: self()}, %{@event | timestamp: {1, 2}}] do
        assert callback.(event) == :ok
      end

      assert System.monotonic_time(:millisecond) - begun < 2_000
    end

    test "does not pile up behind a daemon that hangs" do
      callback = Wasmguard.tool_callback(Fake.options(:hang, timeout: 60_000))
      before = length(Process.list())
      for _ <- 1..1_000, do: callback.(@event)
      assert length(Process.list()) - before < 300
    end
  end
end
