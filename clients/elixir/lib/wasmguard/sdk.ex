defmodule Wasmguard.SDK do
  @moduledoc """
  How a verdict is said to `claude_code`. What its versions make of an answer was read in their sources.

  * `:guide`: the answers that its guide promises, word for word. Where no `claude_code` is loaded.
  * `:tuples`: claude_code 0.18 to 0.31. The same, but where its wire form says something else than the guide:
    `{:continue, reason}` is written as `continue: false`, which ends the run, while `{:reject, reason}` is written as
    the block that makes it go on; the client drops what it writes for `{:instructions, text}`.
  * `:keywords`: claude_code 0.32 and later, `{action, keyword}`. It reads the guide's tuples as no opinion.

  Everywhere:

  1. `:ok` is no opinion. (`:allow` on PreToolUse skips the client's prompt since 0.32, so it is never said for a pass.)
  2. What cannot be said becomes stricter, never looser: an ask a deny, a changed input without an allow a deny
     (`rewrite_allows` in `Wasmguard.Config`), a changed output the end of the run.
  """

  alias Wasmguard.{Config, Verdict}

  @type words :: :guide | :tuples | :keywords

  @stopping ["Stop", "SubagentStop", "TaskCompleted", "TeammateIdle"]
  @gates ~w(PermissionRequest UserPromptSubmit UserPromptExpansion PreCompact ConfigChange PreModelSwitch PostToolBatch
            TaskCreated Elicitation ElicitationResult)
  @no_ask "wasmguard: denied, as a hook cannot ask in this version of the SDK"
  @no_rewrite "wasmguard: denied, as this version of the SDK cannot change the input without allowing the call: " <>
                "let `can_use_tool` change it, or update `claude_code` to 0.32"
  @no_output "wasmguard: the run ends, as this version of the SDK cannot change a tool's output"

  @doc "The words for `said`, an option; `:auto` finds them out. `{:error, why}` if it is none."
  @spec found(term()) :: words() | {:error, String.t()}
  def found(said) when said in [:guide, :tuples, :keywords], do: said

  def found(:auto) do
    cond do
      loaded?(ClaudeCode.Hook.Output, :coerce, 2) ->
        :keywords

      loaded?(ClaudeCode.Hook.Response, :to_hook_callback_wire, 1) ->
        :tuples

      Code.ensure_loaded?(ClaudeCode.Hook) ->
        {:error, "this `claude_code` is not known: say `sdk: :keywords`, and test"}

      true ->
        :guide
    end
  end

  def found(_), do: {:error, "`sdk` is :guide, :tuples, :keywords or :auto"}

  defp loaded?(module, name, arity), do: Code.ensure_loaded?(module) and function_exported?(module, name, arity)

  @doc "The events whose answers these words can say."
  @spec events(words()) :: [atom()]
  def events(:keywords), do: events(:guide) ++ [:SessionStart, :SessionEnd, :PermissionRequest]

  def events(_) do
    [:PreToolUse, :PostToolUse, :PostToolUseFailure, :UserPromptSubmit, :Stop] ++
      [:SubagentStart, :SubagentStop, :PreCompact, :Notification]
  end

  @doc "The answer of `can_use_tool` about this input. An `:ask` that nobody was asked about is a deny."
  @spec permission(words(), Verdict.t(), term()) :: term()
  def permission(words, verdict, input \\ nil)

  def permission(:keywords, %Verdict{effect: :allow, input: nil, updates: []}, _), do: :allow

  def permission(:keywords, %Verdict{effect: :allow} = verdict, _) do
    input = if verdict.input, do: [updated_input: verdict.input], else: []
    {:allow, input ++ if(verdict.updates == [], do: [], else: [updated_permissions: verdict.updates])}
  end

  def permission(:keywords, verdict, _),
    do: {:deny, [message: verdict.reason] ++ if(verdict.ends, do: [interrupt: true], else: [])}

  def permission(_, %Verdict{effect: :allow, input: nil, updates: []}, _), do: :allow
  def permission(_, %Verdict{effect: :allow, updates: []} = verdict, _), do: {:allow, verdict.input}

  def permission(_, %Verdict{effect: :allow} = verdict, input),
    do: {:allow, verdict.input || input, permissions: verdict.updates}

  def permission(_, %Verdict{ends: true} = verdict, _), do: {:deny, verdict.reason, interrupt: true}
  def permission(_, verdict, _), do: {:deny, verdict.reason}

  @doc "The answer of a hook to an event of this name."
  @spec hook(Config.t(), String.t(), Verdict.t()) :: term()
  def hook(%Config{sdk: :keywords}, event, verdict), do: keywords(event, verdict)
  def hook(%Config{} = config, "PreToolUse", verdict), do: tuple(config, verdict)
  def hook(%Config{sdk: words}, event, verdict), do: observed(words, event, verdict)

  @doc """
  The answer where there is no verdict, because of `why`: stop what can be stopped. On Stop and SubagentStop that would
  be to go on for ever, so these end as usual.
  """
  @spec refusal(Config.t(), String.t() | nil, String.t()) :: term()
  def refusal(%Config{output_or_end: true} = config, "PostToolUse", why),
    do: hook(config, "PostToolUse", %Verdict{ends: true, reason: why})

  def refusal(%Config{sdk: :keywords}, "PreToolUse", why), do: {:deny, permission_decision_reason: why}
  def refusal(%Config{sdk: :keywords}, "PermissionRequest", why), do: {:deny, message: why}
  def refusal(%Config{sdk: :keywords}, event, why) when event in @gates, do: {:block, reason: why}
  def refusal(%Config{}, event, why) when event in ["PreToolUse", "PermissionRequest"], do: {:deny, why}
  def refusal(%Config{}, event, why) when event in @gates, do: {:reject, why}
  def refusal(%Config{sdk: :keywords}, nil, why), do: {:deny, permission_decision_reason: why, message: why}
  def refusal(%Config{}, nil, why), do: {:deny, why}
  # Stop and SubagentStop, and what only tells something
  def refusal(_, _, _), do: :ok

  # The guide's tuples.

  defp tuple(_, %Verdict{effect: :deny, reason: reason}), do: {:deny, reason}
  defp tuple(_, %Verdict{ends: true, reason: reason}), do: {:deny, reason}
  defp tuple(_, %Verdict{effect: :ask, reason: reason}), do: {:deny, "#{reason}\n#{@no_ask}"}
  defp tuple(_, %Verdict{effect: :allow, input: nil}), do: :allow
  defp tuple(_, %Verdict{effect: :allow, input: input}), do: {:allow, input}
  defp tuple(_, %Verdict{input: nil}), do: :ok
  defp tuple(%Config{rewrite_allows: true}, %Verdict{input: input}), do: {:allow, input}
  defp tuple(_, %Verdict{reason: reason}), do: {:deny, String.trim("#{reason}\n#{@no_rewrite}")}

  defp observed(words, event, %Verdict{effect: :deny} = verdict) when event in @stopping,
    do: if(words == :guide, do: {:continue, verdict.reason}, else: {:reject, verdict.reason})

  defp observed(:guide, event, _) when event in @stopping, do: :ok

  defp observed(_, _, %Verdict{output: {_, _}, reason: reason}),
    do: {:continue, String.trim("#{reason}\n#{@no_output}")}

  defp observed(_, _, %Verdict{ends: true, reason: reason}), do: {:continue, reason}
  defp observed(_, "PermissionRequest", %Verdict{effect: :deny, reason: reason}), do: {:deny, reason}

  defp observed(_, event, %Verdict{effect: effect, reason: reason}) when event in @gates and effect in [:ask, :deny],
    do: {:reject, reason}

  defp observed(:tuples, _, %Verdict{effect: :deny, reason: reason}), do: {:reject, reason}
  defp observed(_, "PreCompact", %Verdict{context: text}) when text != "", do: {:instructions, text}
  defp observed(_, _, _), do: :ok

  # Since 0.32. What a keyword list of one action holds is said in it, anything more as the SDK's whole struct.

  defp keywords("PreToolUse", %Verdict{ends: false} = verdict) do
    action = if verdict.effect == :pass, do: :ok, else: verdict.effect

    said =
      for {key, value} <- [
            permission_decision_reason: if(action == :ok, do: "", else: verdict.reason),
            updated_input: verdict.input,
            additional_context: verdict.context
          ],
          value not in ["", nil],
          do: {key, value}

    if action == :ok and said == [], do: :ok, else: {action, said}
  end

  defp keywords("PermissionRequest", %Verdict{ends: false, effect: :allow, updates: updates}),
    do: {:allow, if(updates == [], do: [], else: [updated_permissions: updates])}

  defp keywords("PermissionRequest", %Verdict{effect: :deny, reason: reason, ends: ends}),
    do: {:deny, [message: reason] ++ if(ends, do: [interrupt: true], else: [])}

  # The client takes the system message of a callback for the instructions, and no other field (measured with 2.1.330).
  defp keywords("PreCompact", %Verdict{effect: :pass, ends: false, context: text}) when text != "",
    do: struct(ClaudeCode.Hook.Output, system_message: text)

  defp keywords("PreCompact", %Verdict{effect: :deny, reason: reason}),
    do: {:block, reason: reason, system_message: reason}

  defp keywords(_, %Verdict{effect: :pass, ends: false, specific: said}) when said == %{}, do: :ok

  defp keywords(_, %Verdict{effect: :deny, ends: false, specific: said, reason: reason}) when said == %{},
    do: {:block, reason: reason}

  defp keywords(_, %Verdict{effect: :pass, ends: true, specific: said, reason: reason}) when said == %{},
    do: {:halt, stop_reason: reason}

  defp keywords(event, verdict), do: whole(event, verdict)

  # What is said for the event alone goes through untouched, as the client itself would read it.
  defp whole(event, verdict) do
    stop = if verdict.ends, do: [continue: false, stop_reason: verdict.reason], else: []
    blocks = verdict.effect == :deny and event not in ["PreToolUse", "PreModelSwitch"]
    block = if blocks, do: [decision: "block", reason: verdict.reason], else: []
    specific = if verdict.specific == %{}, do: nil, else: %Wasmguard.Specific{event: event, said: verdict.specific}
    struct(ClaudeCode.Hook.Output, stop ++ block ++ [hook_specific_output: specific])
  end
end
