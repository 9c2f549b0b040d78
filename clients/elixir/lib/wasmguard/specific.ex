defmodule Wasmguard.Specific do
  @moduledoc "The event's own part of an answer, for `ClaudeCode.Hook.Output`: it asks a struct's module to say it."

  defstruct event: "", said: %{}

  @doc "What the client reads."
  def to_wire(%__MODULE__{event: event, said: said}), do: Map.put(said, "hookEventName", event)
end
