defmodule Wasmguard do
  @moduledoc """
  Lets an agent of the Elixir SDK of Claude Code (`claude_code`) be judged by wasmguard, through its daemon.

      {:ok, session} = ClaudeCode.start_link(Wasmguard.options())

  asks the daemon about everything: before each tool runs, when the client would ask for permission, and at all other
  events. The pieces alone are `hooks/1`, `hook/1`, `can_use_tool/1` and `tool_callback/1`; `Wasmguard.Hook` is both
  callbacks as a module. Their options are those of `Wasmguard.Config`.

  Whatever goes wrong, the answer is a deny with a reason; on Stop and SubagentStop it is `:ok`. No callback raises,
  and none takes longer than `timeout`.
  """

  alias Wasmguard.{Config, Daemon, Hook, SDK}

  @spare 25
  @most_observed 64

  @doc """
  `hooks/1` and `can_use_tool/1` together, for `ClaudeCode.start_link/1`.

  There is no hook on PermissionRequest then: `can_use_tool` asks its policies, and the client would ask both at once.
  """
  @spec options(keyword()) :: keyword()
  def options(options \\ []) do
    {about, asking} = Keyword.split(options, [:events, :matcher, :seconds])
    events = SDK.events(Config.new!(asking).sdk) -- [:PermissionRequest]
    [hooks: hooks(asking ++ Keyword.put_new(about, :events, events)), can_use_tool: can_use_tool(asking)]
  end

  @doc """
  The `:hooks` of a session: every event of the SDK goes to wasmguard.

  Beside the options of `Wasmguard.Config`: `:events`, which events (all that the SDK knows); `:matcher`, a regular
  expression on the names of tools (all); `:seconds`, how long the client waits, which is always longer than we do.

  Raises `ArgumentError` if an option is wrong.
  """
  @spec hooks(keyword()) :: %{atom() => [map()]}
  def hooks(options \\ []) do
    {about, options} = Keyword.split(options, [:events, :matcher, :seconds])
    config = Config.new!(options)
    seconds = Keyword.get(about, :seconds, ceil(config.timeout / 1000) + @spare)

    unless is_integer(seconds) and seconds * 1000 > config.timeout,
      do:
        raise(ArgumentError, "wasmguard: `seconds` is not longer than `timeout`: the client would not hear the answer")

    entry = %{hooks: [hook(options)], timeout: seconds}

    for event <- Keyword.get(about, :events, SDK.events(config.sdk)), into: %{} do
      matched = event in [:PreToolUse, :PostToolUse, :PostToolUseFailure, :PermissionRequest]
      {event, [if(matched, do: Map.put(entry, :matcher, about[:matcher]), else: entry)]}
    end
  end

  @doc """
  One hook: a function of an event and a tool use id, for whatever entry of `:hooks`.

  Raises `ArgumentError` if an option is wrong.
  """
  @spec hook(keyword()) :: (map(), String.t() | nil -> term())
  def hook(options \\ []) do
    config = Config.new!(options)
    fn input, tool_use_id -> Hook.judged(config, input, tool_use_id) end
  end

  @doc """
  The `:can_use_tool` of a session. It is asked where the client would ask its user.

  Raises `ArgumentError` if an option is wrong.
  """
  @spec can_use_tool(keyword()) :: (map(), String.t() | nil -> term())
  def can_use_tool(options \\ []) do
    config = Config.new!(options)
    fn input, tool_use_id -> Hook.permitted(config, input, tool_use_id) end
  end

  @doc """
  The `:tool_callback` of a session (claude_code up to 0.18): each tool that ran is told to wasmguard, for its records
  and for policies that count. It observes: it returns at once, it changes nothing, and it never raises.

  At most #{@most_observed} are on their way at a time; what comes beyond is not told.

  Raises `ArgumentError` if an option is wrong.
  """
  @spec tool_callback(keyword()) :: (map() -> :ok)
  def tool_callback(options \\ []) do
    config = Config.new!(options)
    under_way = :counters.new(1, [])
    fn event -> observe(config, event, under_way) end
  end

  defp observe(config, event, under_way) do
    if :counters.get(under_way, 1) < @most_observed do
      :counters.add(under_way, 1, 1)

      spawn(fn ->
        try do
          Daemon.ask(config, Hook.path(), Hook.event_of(config, observed(event)))
        catch
          _, _ -> :ok
        after
          :counters.sub(under_way, 1, 1)
        end
      end)
    end

    :ok
  end

  # The event that the client's own hook would have told.
  defp observed(event) do
    {name, result} =
      if event.is_error,
        do: {"PostToolUseFailure", %{"error" => event.result || ""}},
        else: {"PostToolUse", %{"tool_response" => event.result}}

    Map.merge(result, %{
      "hook_event_name" => name,
      "tool_name" => event.name,
      "tool_use_id" => event.tool_use_id,
      "tool_input" => event.input,
      "timestamp" => Map.get(event, :timestamp)
    })
  end
end
