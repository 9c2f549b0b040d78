defmodule Wasmguard.Daemon do
  @moduledoc """
  A question to the daemon, in a process of its own.

  1. Whatever happens to that process, who asks gets an answer or an error, at the latest at the deadline: an event that
     cannot be written, a crash, too much memory, a daemon that says nothing.
  2. Nothing of it reaches the mailbox, the links or the heap of who asks: that is the SDK's own process.
  """

  alias Wasmguard.{Config, HTTP, JSON}

  @most_words div(512 * 1024 * 1024, 8)
  @grace 100

  @doc "The JSON object that the daemon answers to `question` at `path`, or why there is none, in one line."
  @spec ask(Config.t(), String.t(), map()) :: {:ok, map()} | {:error, String.t()}
  def ask(%Config{} = config, path, question) do
    deadline = HTTP.now() + config.timeout
    heap = %{size: @most_words, kill: true, error_logger: false}
    asking = fn -> exit({__MODULE__, asked(config, path, question, deadline)}) end
    {pid, reference} = :erlang.spawn_opt(asking, [:monitor, {:max_heap_size, heap}])

    receive do
      {:DOWN, ^reference, :process, ^pid, {__MODULE__, said}} -> said
      {:DOWN, ^reference, :process, ^pid, _} -> {:error, "the question could not be asked: please report it"}
    after
      config.timeout + @grace ->
        Process.exit(pid, :kill)
        Process.demonitor(reference, [:flush])
        {:error, "no answer came in time"}
    end
  end

  defp asked(config, path, question, deadline) do
    with {:ok, token} <- Config.token(config),
         {:ok, body} <- JSON.encode(question),
         {:ok, said} <- HTTP.post(config.place, path, token, body, deadline),
         {:ok, answer} <- decoded(said),
         do: {:ok, answer}
  rescue
    error -> {:error, "the question could not be asked (#{inspect(error.__struct__)}): please report it"}
  end

  defp decoded(said) do
    case JSON.decode(said) do
      {:ok, answer} when is_map(answer) -> {:ok, answer}
      {:ok, _} -> {:error, "the daemon's answer is no object"}
      {:error, why} -> {:error, "the daemon's answer is no JSON: #{why}"}
    end
  end
end
