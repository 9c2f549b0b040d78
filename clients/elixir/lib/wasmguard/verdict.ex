defmodule Wasmguard.Verdict do
  @moduledoc """
  What the daemon said, in our own words, and only if all of it was understood.

  1. An answer is read as strictly as its schema says it (`GET /v1/schema`): a key or a word that nobody here knows may
     be what the decision hangs on, so it makes the whole answer none.
  2. `effect` is `:pass` (no opinion), `:allow`, `:ask` or `:deny`. On events without a permission `:deny` is a block:
     of the prompt, the compaction, the change; on Stop and SubagentStop it is "go on working, because".
  3. `ends` says that the whole run ends.
  """

  defstruct effect: :pass,
            reason: "",
            input: nil,
            updates: [],
            context: "",
            output: :none,
            ends: false,
            specific: %{}

  @typedoc """
  `input` is the whole new input or nil; `updates` are permission updates in the client's form; `output` is
  `{key, the whole new output}` or `:none`; `specific` is what was said for the event alone, as it was said.
  """
  @type t :: %__MODULE__{
          effect: :pass | :allow | :ask | :deny,
          reason: String.t(),
          input: map() | nil,
          updates: [map()],
          context: String.t(),
          output: :none | {String.t(), term()},
          ends: boolean(),
          specific: map()
        }

  @top ["continue", "stopReason", "decision", "reason", "hookSpecificOutput"]
  @pairs [{"decision", "reason"}, {"continue", "stopReason"}]
  @effects %{"allow" => :allow, "ask" => :ask, "deny" => :deny}
  @unsaid "refused by wasmguard"
  @unknown "the daemon's answer is not understood: it is of another version"
  @outputs ["updatedToolOutput", "updatedMCPToolOutput"]

  @doc "What an answer to `POST /v1/can-use-tool` says; `asks` is whether the question allowed `ask`. Or why it is none."
  @spec permission(term(), boolean()) :: {:ok, t()} | {:error, String.t()}
  def permission(%{"version" => 1, "behavior" => behavior} = answer, asks) do
    said = Map.drop(answer, ["version", "behavior"])
    only = fn known -> Map.keys(said) -- known == [] end

    cond do
      behavior == "allow" and only.(["updatedInput", "updatedPermissions"]) -> allowed(said)
      behavior == "deny" and only.(["interrupt", "message"]) -> denied(said)
      behavior == "ask" and asks and only.(["message", "updatedInput"]) -> asked(said)
      true -> {:error, @unknown}
    end
  end

  def permission(%{"version" => version}, _) when version != 1, do: {:error, "the daemon speaks another version"}
  def permission(_, _), do: {:error, @unknown}

  defp allowed(rest) do
    updates = Map.get(rest, "updatedPermissions", [])

    with {:ok, input} <- object(rest, "updatedInput"),
         true <- is_list(updates) and Enum.all?(updates, &is_map/1) do
      {:ok, %__MODULE__{effect: :allow, input: input, updates: updates}}
    else
      _ -> {:error, "the daemon's answer has a wrong type"}
    end
  end

  defp denied(rest) do
    with {:ok, reason} <- text(rest, "message"), ends when is_boolean(ends) <- Map.get(rest, "interrupt", false) do
      {:ok, %__MODULE__{effect: :deny, reason: said(reason), ends: ends}}
    else
      _ -> {:error, "the daemon's answer has a wrong type"}
    end
  end

  defp asked(rest) do
    with {:ok, reason} <- text(rest, "message"), {:ok, input} <- object(rest, "updatedInput") do
      {:ok, %__MODULE__{effect: :ask, reason: reason, input: input}}
    else
      _ -> {:error, "the daemon's answer has a wrong type"}
    end
  end

  @doc "What an answer to `POST /v1/hook/claude-code` about an event of this name says. Or why it is none."
  @spec hook(String.t(), term()) :: {:ok, t()} | {:error, String.t()}
  def hook(event, answer) when is_map(answer) do
    with [] <- Map.keys(answer) -- if(event == "PreCompact", do: ["systemMessage" | @top], else: @top),
         true <- Enum.all?(@pairs, fn {word, why} -> is_map_key(answer, word) == is_map_key(answer, why) end),
         {:ok, verdict} <- top(answer),
         {:ok, specific} <- of_event(event, answer),
         {:ok, verdict} <- specific(event, specific, verdict) do
      {:ok, verdict}
    else
      _ -> {:error, @unknown}
    end
  end

  def hook(_, _), do: {:error, "the daemon's answer is no object"}

  # What is said for the event alone: under its name, and not nothing.
  defp of_event(event, %{"hookSpecificOutput" => %{"hookEventName" => event} = said}) when map_size(said) > 1,
    do: {:ok, Map.delete(said, "hookEventName")}

  defp of_event(_, answer), do: if(is_map_key(answer, "hookSpecificOutput"), do: :error, else: {:ok, %{}})

  # `continue: false` and `decision: "block"`, each with its reason, and the instructions of a compaction.
  defp top(answer) do
    with {:ok, reason} <- text(answer, "reason"),
         {:ok, stop} <- text(answer, "stopReason"),
         {:ok, instructions} <- text(answer, "systemMessage"),
         true <- Map.get(answer, "continue", false) == false,
         true <- Map.get(answer, "decision", "block") == "block" do
      effect = if is_map_key(answer, "decision"), do: :deny, else: :pass
      ends = is_map_key(answer, "continue")
      reason = if effect == :deny or ends, do: said(if(reason == "", do: stop, else: reason)), else: ""
      {:ok, %__MODULE__{effect: effect, reason: reason, ends: ends, context: instructions}}
    else
      _ -> :error
    end
  end

  defp specific(_, said, verdict) when said == %{}, do: {:ok, verdict}

  defp specific(event, said, verdict) when event in ["PreToolUse", "PreModelSwitch"] do
    known = ["permissionDecision", "permissionDecisionReason", "updatedInput", "additionalContext"]

    with [] <- Map.keys(said) -- known,
         {:ok, reason} <- text(said, "permissionDecisionReason"),
         {:ok, context} <- text(said, "additionalContext"),
         {:ok, input} <- object(said, "updatedInput"),
         {:ok, effect} <- effect(said, "permissionDecision"),
         true <- is_map_key(said, "permissionDecision") == is_map_key(said, "permissionDecisionReason"),
         true <- verdict.effect == :pass and (effect != :deny or input == nil) do
      reason = if effect in [:ask, :deny], do: said(reason), else: reason
      {:ok, %{verdict | effect: effect, reason: reason, input: input, context: context, specific: said}}
    else
      _ -> :error
    end
  end

  defp specific("PermissionRequest", %{"decision" => decision} = said, verdict)
       when map_size(said) == 1 and is_map(decision) and verdict.effect == :pass do
    with {:ok, found} <- permission(Map.put(decision, "version", 1), false),
         do: {:ok, %{found | ends: verdict.ends or found.ends, specific: said}}
  end

  defp specific("PermissionRequest", _, _), do: :error

  defp specific("PostToolUse", said, verdict) do
    with [] <- Map.keys(said) -- ["additionalContext" | @outputs],
         {:ok, context} <- text(said, "additionalContext") do
      output = Enum.find_value(@outputs, :none, fn key -> is_map_key(said, key) && {key, said[key]} end)
      {:ok, %{verdict | context: context, output: output, specific: said}}
    else
      _ -> :error
    end
  end

  defp specific(_, %{"additionalContext" => context} = said, verdict) when map_size(said) == 1 and is_binary(context),
    do: {:ok, %{verdict | context: context, specific: said}}

  defp specific(_, _, _), do: :error

  defp effect(said, key) do
    case said do
      %{^key => word} -> Map.fetch(@effects, word)
      %{} -> {:ok, :pass}
    end
  end

  defp text(map, key) do
    case Map.get(map, key, "") do
      text when is_binary(text) -> {:ok, text}
      _ -> :error
    end
  end

  defp object(map, key) do
    case map do
      %{^key => object} when is_map(object) -> {:ok, object}
      %{^key => _} -> :error
      _ -> {:ok, nil}
    end
  end

  # A deny without a reason has let calls pass.
  defp said(reason), do: if(String.trim(reason) == "", do: @unsaid, else: reason)
end
