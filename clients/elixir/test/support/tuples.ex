defmodule Tuples do
  @moduledoc """
  A stand-in for what claude_code 0.18 to 0.31 makes of a callback's answer, as far as our answers go. What it does not
  know it raises about, as the real one does.
  """

  @doc "The wire form of the answer of a hook, or of `can_use_tool`."
  def wire(true, answer) when answer in [:ok, :allow], do: %{}
  def wire(true, {:deny, reason}), do: pre(%{"permissionDecision" => "deny", "permissionDecisionReason" => reason})
  def wire(true, {:allow, input}), do: pre(%{"permissionDecision" => "allow", "updatedInput" => input})
  def wire(true, {:continue, reason}), do: %{"continue" => false, "stopReason" => reason}
  def wire(true, {:reject, reason}), do: %{"decision" => "block", "reason" => reason}
  def wire(true, {:instructions, text}), do: %{"hookSpecificOutput" => %{"customInstructions" => text}}
  def wire(false, :allow), do: %{"behavior" => "allow"}
  def wire(false, {:allow, input}), do: %{"behavior" => "allow", "updatedInput" => input}

  def wire(false, {:allow, input, permissions: updates}),
    do: Map.put(wire(false, {:allow, input}), "updatedPermissions", updates)

  def wire(false, {:deny, reason}), do: %{"behavior" => "deny", "message" => reason}
  def wire(false, {:deny, reason, interrupt: true}), do: Map.put(wire(false, {:deny, reason}), "interrupt", true)

  defp pre(said), do: %{"hookSpecificOutput" => Map.put(said, "hookEventName", "PreToolUse")}
end
