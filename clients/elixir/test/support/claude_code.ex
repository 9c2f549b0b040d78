defmodule ClaudeCode.Hook.Inner do
  @moduledoc "A stand-in for the structs of the events."

  defstruct [:event, :said]

  def to_wire(inner), do: Map.put(inner.said, "hookEventName", inner.event)
end

defmodule ClaudeCode.Hook.Output do
  @moduledoc """
  A stand-in for what claude_code 0.32 and later makes of a callback's answer, as far as our answers go.

  What it does not know it takes for no opinion, as the real one does: a wrong word must show in the tests.
  """

  defstruct [:continue, :suppress_output, :stop_reason, :decision, :system_message, :reason, :hook_specific_output]

  @names %{
    permission_decision_reason: "permissionDecisionReason",
    updated_input: "updatedInput",
    additional_context: "additionalContext",
    updated_permissions: "updatedPermissions",
    stop_reason: "stopReason",
    system_message: "systemMessage"
  }

  @doc "The wire form of a hook's answer."
  def wire(answer, event), do: answer |> coerce(event) |> to_wire()

  @doc "The wire form of the answer of can_use_tool."
  def wire_of_permission(:allow), do: %{"behavior" => "allow"}

  def wire_of_permission({action, said}) when action in [:allow, :deny],
    do: Map.put(named(said), "behavior", "#{action}")

  def wire_of_permission(_), do: %{"behavior" => "deny", "message" => "invalid"}

  def coerce(%__MODULE__{} = output, _), do: output
  def coerce({:halt, said}, _), do: struct(__MODULE__, [{:continue, false} | said])
  def coerce({:block, said}, _), do: struct(__MODULE__, [{:decision, "block"} | said])

  def coerce({action, said}, "PreToolUse") when action in [:allow, :deny, :ask],
    do: specific("PreToolUse", Map.put(named(said), "permissionDecision", "#{action}"))

  def coerce({action, _} = answer, "PermissionRequest") when action in [:allow, :deny],
    do: specific("PermissionRequest", %{"decision" => wire_of_permission(answer)})

  def coerce({:ok, said}, event), do: specific(event, named(said))
  def coerce(_, _), do: %__MODULE__{}

  def to_wire(output) do
    said = output |> Map.from_struct() |> Map.delete(:hook_specific_output) |> Enum.reject(&(elem(&1, 1) == nil))
    inner = output.hook_specific_output
    if inner, do: Map.put(named(said), "hookSpecificOutput", inner.__struct__.to_wire(inner)), else: named(said)
  end

  defp specific(event, said), do: %__MODULE__{hook_specific_output: %ClaudeCode.Hook.Inner{event: event, said: said}}
  defp named(said), do: Map.new(said, fn {key, value} -> {Map.get(@names, key, "#{key}"), value} end)
end
