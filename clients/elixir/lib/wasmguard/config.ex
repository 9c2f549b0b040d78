defmodule Wasmguard.Config do
  @moduledoc """
  What a program says about the guard it asks: options, else the application environment (`config :wasmguard, ...`).

  | option | meaning | default |
  |---|---|---|
  | `:url` | where the daemon listens: this machine only | `"http://127.0.0.1:8787"` |
  | `:token` | the daemon's token; better is `:token_file` | read from the file |
  | `:token_file` | the file that holds it, closed to others (0600) | where wasmguard keeps it |
  | `:timeout` | milliseconds for one question, all in all | 5000 |
  | `:sdk` | which answers the SDK understands: `:guide`, `:tuples`, `:keywords` (`Wasmguard.SDK`) | found out |
  | `:fields` | fields for events that lack them: `%{session_id: ..., cwd: ...}` | none |
  | `:human` | who is asked where a policy or the client wants that: `fn input, tool_use_id -> answer` | nobody |
  | `:unasked` | where nobody can be asked, a call that no policy has an opinion on: `:deny` or `:pass` | `:deny` |
  | `:judged` | whether a hook of ours on PreToolUse was asked about each call that `can_use_tool` is asked about | `false` |
  | `:rewrite_allows` | whether a changed input may skip the client's own prompt, where the SDK ties both | `false` |
  | `:output_or_end` | whether the run ends when nobody could judge a tool's output (if a policy redacts) | `false` |
  """

  alias Wasmguard.{HTTP, SDK, Token}

  @defaults [
    url: "http://127.0.0.1:8787",
    token: nil,
    token_file: nil,
    timeout: 5_000,
    sdk: :auto,
    fields: %{},
    human: nil,
    unasked: :deny,
    judged: false,
    rewrite_allows: false,
    output_or_end: false
  ]
  @enforce_keys [:place]
  defstruct [:place | Keyword.keys(@defaults)]

  @type t :: %__MODULE__{}

  @doc "The names of the options."
  @spec names() :: [atom()]
  def names, do: Keyword.keys(@defaults)

  @doc "The configuration that `options` and the application environment make, or what is wrong with it."
  @spec new(keyword()) :: {:ok, t()} | {:error, String.t()}
  def new(options \\ []) do
    with :ok <- known(options),
         said = Keyword.merge(@defaults, Keyword.merge(environment(), options)),
         said = Keyword.update!(said, :sdk, &SDK.found/1),
         :ok <- Enum.find_value(said, :ok, &wrong/1),
         {:ok, place} <- HTTP.place(said[:url]) do
      {:ok, struct!(__MODULE__, [{:place, place} | said])}
    end
  end

  @doc "As `new/1`. Raises `ArgumentError` if something is wrong."
  @spec new!(keyword()) :: t()
  def new!(options) do
    case new(options) do
      {:ok, config} -> config
      {:error, why} -> raise ArgumentError, "wasmguard: #{why}"
    end
  end

  @doc "The token to show, or why there is none."
  @spec token(t()) :: {:ok, String.t()} | {:error, String.t()}
  def token(%__MODULE__{token: nil, token_file: file}), do: Token.read(file || Token.default_path())
  def token(%__MODULE__{token: token}), do: {:ok, token}

  defp environment, do: :wasmguard |> Application.get_all_env() |> Keyword.take(names())

  defp known(options) do
    cond do
      not Keyword.keyword?(options) -> {:error, "the options are no keyword list"}
      unknown = Enum.find(Keyword.keys(options), &(&1 not in names())) -> {:error, "`#{unknown}` is no option"}
      true -> :ok
    end
  end

  defp wrong({:token, token}) when token != nil do
    unless Token.token?(token), do: {:error, "`token` is no token: it has 43 letters, digits, `-` and `_`"}
  end

  defp wrong({:token_file, file}) when file != nil do
    unless is_binary(file), do: {:error, "`token_file` is no path"}
  end

  defp wrong({:timeout, time}) do
    unless is_integer(time) and time in 1..600_000, do: {:error, "`timeout` is no number of milliseconds up to 600000"}
  end

  defp wrong({:sdk, {:error, why}}), do: {:error, why}
  defp wrong({:fields, fields}), do: unless(is_map(fields), do: {:error, "`fields` is no map"})

  defp wrong({:human, human}) when human != nil do
    unless is_function(human, 2), do: {:error, "`human` is no function of an input and a tool use id"}
  end

  defp wrong({:unasked, word}), do: unless(word in [:deny, :pass], do: {:error, "`unasked` is :deny or :pass"})

  defp wrong({name, value}) when name in [:judged, :rewrite_allows, :output_or_end] do
    unless is_boolean(value), do: {:error, "`#{name}` is true or false"}
  end

  defp wrong(_), do: nil
end
