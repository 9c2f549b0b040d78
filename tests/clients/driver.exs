# Asks the Elixir client what a program would ask it: a line of JSON in, a line out. The end of the input ends it.
#
# `{"use": "hook" | "can_use_tool" | "tool_callback" | "module" | "hooks", "options": {...}, "input": {...}, "id": ...}`;
# options are those of `Wasmguard.Config`, `"environment": true` puts them there, and `human` is what he answers.
# The answer is `{"said": what the callback returned, as Elixir writes it, "wire": what that SDK tells the client}`.

defmodule Driver do
  def run do
    case IO.gets("") do
      line when is_binary(line) ->
        {:ok, asked} = Wasmguard.JSON.decode(line)
        {:ok, said} = Wasmguard.JSON.encode(answer(asked))
        IO.puts(said)
        run()

      _ ->
        :ok
    end
  end

  defp answer(%{"use" => "hooks"} = asked) do
    hooks = Wasmguard.hooks(options(asked))

    wire =
      for {event, [entry]} <- hooks,
          into: %{},
          do: {event, [entry |> Map.delete(:hooks) |> Map.put(:hookCallbackIds, [event])]}

    %{said: inspect(Map.keys(hooks)), wire: wire}
  end

  defp answer(asked) do
    input = Map.new(asked["input"], fn {key, value} -> {String.to_atom(key), value} end)
    said = called(asked, input)

    %{
      said: inspect(said, limit: :infinity, printable_limit: :infinity),
      wire: wire(asked["options"]["sdk"], input, said)
    }
  end

  defp called(%{"use" => "tool_callback"} = asked, input), do: Wasmguard.tool_callback(options(asked)).(input)
  defp called(%{"use" => "hook"} = asked, input), do: Wasmguard.hook(options(asked)).(input, asked["id"])

  defp called(%{"use" => "can_use_tool"} = asked, input),
    do: Wasmguard.can_use_tool(options(asked)).(input, asked["id"])

  defp called(%{"use" => "module"} = asked, input) do
    for {key, value} <- options(asked), do: Application.put_env(:wasmguard, key, value)
    Wasmguard.Hook.call(input, asked["id"])
  after
    for {key, _} <- Application.get_all_env(:wasmguard), do: Application.delete_env(:wasmguard, key)
  end

  defp wire("keywords", %{hook_event_name: event}, said), do: ClaudeCode.Hook.Output.wire(said, event)
  defp wire("keywords", _, said), do: ClaudeCode.Hook.Output.wire_of_permission(said)
  defp wire("tuples", input, said), do: Tuples.wire(is_map_key(input, :hook_event_name), said)
  defp wire(_, _, _), do: nil

  defp options(asked) do
    for {key, value} <- asked["options"], do: {String.to_atom(key), option(key, value)}
  end

  defp option(key, word) when key in ["sdk", "unasked"], do: String.to_atom(word)
  defp option("events", names), do: Enum.map(names, &String.to_atom/1)
  defp option("human", "allow"), do: fn _, _ -> :allow end
  defp option("human", "deny"), do: fn _, _ -> {:deny, "the human said no"} end
  defp option("human", input), do: fn _, _ -> {:allow, input} end
  defp option(_, value), do: value
end

Driver.run()
