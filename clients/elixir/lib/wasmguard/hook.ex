defmodule Wasmguard.Hook do
  @moduledoc """
  The callback of `claude_code` as a module, for `:hooks` and for `:can_use_tool`:

      hooks: %{PreToolUse: [%{matcher: "Write|Edit", hooks: [Wasmguard.Hook], timeout: 30}]}

  It takes its configuration from the application environment (`Wasmguard.Config`); for other options take
  `Wasmguard.hook/1` and `Wasmguard.can_use_tool/1`.

  1. An event with a `hook_event_name` is a hook's, one with `tool_name` and `input` is the question of `can_use_tool`.
  2. It never raises, exits or throws: the SDK would take that for no opinion.
  3. What is not an answer, understood in full, is a refusal (`Wasmguard.SDK.refusal/3`).
  4. What a human changed in the input is asked about again.
  """

  alias Wasmguard.{Config, Daemon, SDK, Verdict}

  @hook "/v1/hook/claude-code"
  @can_use_tool "/v1/can-use-tool"

  # Keys of the question, and the fields of the SDK's input that they are about.
  @fields [
    {"sessionId", :session_id},
    {"transcriptPath", :transcript_path},
    {"cwd", :cwd},
    {"permissionMode", :permission_mode},
    {"toolUseID", :tool_use_id},
    {"agentID", :agent_id},
    {"agentType", :agent_type},
    {"mcpServer", :mcp_server},
    {"suggestions", :permission_suggestions}
  ]

  @doc "The answer to an event, or to the question whether a tool may run."
  @spec call(map(), String.t() | nil) :: term()
  def call(input, tool_use_id) do
    case Config.new() do
      {:ok, config} -> called(config, input, tool_use_id)
      {:error, why} -> refused(%Config{place: nil, sdk: SDK.found(:auto)}, input, why)
    end
  end

  @doc "Where events are told."
  @spec path() :: String.t()
  def path, do: @hook

  defp called(config, input, tool_use_id) do
    if hook?(input), do: judged(config, input, tool_use_id), else: permitted(config, input, tool_use_id)
  end

  @doc "The answer of a hook to an event."
  @spec judged(Config.t(), map(), String.t() | nil) :: term()
  def judged(config, input, tool_use_id) do
    event = with_id(event_of(config, input), tool_use_id)

    with {:ok, name} <- name(event),
         {:ok, answer} <- Daemon.ask(config, @hook, event),
         {:ok, verdict} <- Verdict.hook(name, answer) do
      SDK.hook(config, name, verdict)
    else
      {:error, why} -> refused(config, input, why)
    end
  catch
    kind, what -> refused(config, input, mishap(kind, what))
  end

  @doc "The answer of `can_use_tool` to its question."
  @spec permitted(Config.t(), map(), String.t() | nil) :: term()
  def permitted(config, input, tool_use_id) do
    SDK.permission(config.sdk, settled(config, event_of(config, input), tool_use_id), get(input, :input))
  catch
    kind, what -> SDK.permission(config.sdk, denied(mishap(kind, what)))
  end

  @doc "The event or question with the fields that the configuration adds where they are missing."
  @spec event_of(Config.t(), map()) :: map()
  def event_of(config, input) do
    missing = for {key, value} <- config.fields, get(input, key) == nil, do: {key, value}
    Enum.reduce(missing, input, fn {key, value}, done -> done |> drop(key) |> Map.put(key, value) end)
  end

  defp settled(config, input, tool_use_id) do
    with {:ok, question} <- question(config, input, tool_use_id),
         {:ok, verdict} <- put(config, question) do
      if verdict.effect == :ask, do: human(config, input, tool_use_id, question, verdict), else: verdict
    else
      {:error, why} -> denied(why)
    end
  end

  defp put(config, question) do
    with {:ok, answer} <- Daemon.ask(config, @can_use_tool, question),
         do: Verdict.permission(answer, question["asks"])
  end

  defp question(config, input, tool_use_id) do
    case {get(input, :tool_name), get(input, :input)} do
      {tool, given} when is_binary(tool) and is_map(given) ->
        fields = for {key, field} <- @fields, value = get(input, field), into: %{}, do: {key, value}
        fields = if is_binary(tool_use_id), do: Map.put_new(fields, "toolUseID", tool_use_id), else: fields

        {:ok,
         Map.merge(fields, %{
           "version" => 1,
           "toolName" => tool,
           "input" => given,
           "asks" => config.human != nil,
           "unasked" => Atom.to_string(config.unasked),
           "judged" => config.judged
         })}

      _ ->
        {:error, "the SDK asks about something that is no tool call"}
    end
  end

  # A human sees the input as the policies left it.
  defp human(config, input, tool_use_id, question, verdict) do
    final = verdict.input || question["input"]
    shown = input |> drop(:input) |> Map.put(:input, final)

    case config.human.(shown, tool_use_id) do
      :allow -> %{verdict | effect: :allow}
      {:allow, ^final} -> %{verdict | effect: :allow}
      {:allow, changed} when is_map(changed) -> again(config, question, changed, [])
      {:allow, ^final, permissions: updates} when is_list(updates) -> %{verdict | effect: :allow, updates: updates}
      {:allow, changed, permissions: updates} when is_map(changed) -> again(config, question, changed, updates)
      {:deny, reason} when is_binary(reason) -> %Verdict{effect: :deny, reason: reason}
      {:deny, reason, interrupt: true} when is_binary(reason) -> %Verdict{effect: :deny, reason: reason, ends: true}
      _ -> denied("what the human said was not understood")
    end
  end

  # Another input is another call, which no hook has judged. What only needs a human has one.
  defp again(config, question, changed, updates) do
    case put(config, %{question | "input" => changed, "judged" => false}) do
      {:ok, %Verdict{effect: :deny} = verdict} ->
        verdict

      {:ok, verdict} ->
        %{verdict | effect: :allow, input: verdict.input || changed, updates: verdict.updates ++ updates}

      {:error, why} ->
        denied(why)
    end
  end

  defp denied(why), do: %Verdict{effect: :deny, reason: reason(why)}

  # An event whose name is none is refused in the strictest form.
  defp refused(config, input, why) do
    name = if hook?(input), do: get(input, :hook_event_name)
    SDK.refusal(config, if(is_binary(name) and name != "", do: name), reason(why))
  end

  defp reason("wasmguard: " <> _ = why), do: why
  defp reason(why), do: "wasmguard: #{why}"

  defp mishap(:error, %{__struct__: kind}), do: "internal error (#{inspect(kind)}): please report it"
  defp mishap(kind, _), do: "internal error (#{kind}): please report it"

  defp hook?(input), do: is_map(input) and get(input, :hook_event_name) != nil

  defp name(event) do
    case get(event, :hook_event_name) do
      name when is_binary(name) and name != "" -> {:ok, name}
      _ -> {:error, "the SDK tells an event without a name"}
    end
  end

  # Some versions leave the id out of the event, and give it beside.
  defp with_id(event, id) do
    if is_binary(id) and get(event, :tool_use_id) == nil, do: Map.put(event, :tool_use_id, id), else: event
  end

  # The SDK's versions differ in which keys are atoms.
  defp get(map, key) when is_atom(key), do: Map.get(map, key) || Map.get(map, Atom.to_string(key))
  defp get(map, key), do: Map.get(map, key)
  defp drop(map, key), do: Map.drop(map, [key, to_string(key)])
end
