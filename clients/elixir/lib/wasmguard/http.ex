defmodule Wasmguard.HTTP do
  @moduledoc """
  One POST to the daemon on this machine, and its answer, or an error. Nothing in between.

  1. Only loopback: what the agent does and the token never leave this machine, whatever a URL says.
  2. Everything has one deadline: connecting, sending, every byte of the answer.
  3. An answer is `HTTP/1.1 200`, `Server: wasmguard`, `application/json`, one `Content-Length`, and exactly that many
     bytes. A redirect is not followed, chunks are not put together, half a body is none, and whatever else listens
     there and says `{}` to everything is no guard without an opinion.
  4. One connection for one question: no state, nothing to get out of step.

  `:httpc` is not used: it follows redirects, obeys whatever proxy anybody set for the whole VM, keeps sessions that all
  callers share, and a timeout of its own does not bound connecting and reading together.
  """

  @largest_head 16_384
  @largest_body 16 * 1024 * 1024

  @typedoc "Where the daemon listens: its address and the `Host` header that it wants."
  @type place :: {:inet.ip_address(), :inet.port_number(), String.t()}

  @doc "The place that a URL such as `http://127.0.0.1:8787` names, or why it names none."
  @spec place(term()) :: {:ok, place()} | {:error, String.t()}
  def place(url) when is_binary(url) do
    case URI.new(url) do
      {:ok, %URI{scheme: "http", host: host, port: port, userinfo: nil, query: nil, fragment: nil, path: path}}
      when path in [nil, "", "/"] and port in 1..65_535 ->
        loopback(host, port)

      _ ->
        {:error, "`url` is not like `http://127.0.0.1:8787`"}
    end
  end

  def place(_), do: {:error, "`url` is no text"}

  defp loopback(host, port) do
    case host do
      "127.0.0.1" -> {:ok, {{127, 0, 0, 1}, port, "127.0.0.1:#{port}"}}
      "localhost" -> {:ok, {{127, 0, 0, 1}, port, "localhost:#{port}"}}
      "::1" -> {:ok, {{0, 0, 0, 0, 0, 0, 0, 1}, port, "[::1]:#{port}"}}
      _ -> {:error, "`url` names another machine: the guard is asked on `127.0.0.1`, `localhost` or `[::1]` only"}
    end
  end

  @doc """
  What the daemon answers to `body`, or why that is not known. `deadline` is in milliseconds of `now/0`.
  """
  @spec post(place(), String.t(), String.t(), iodata(), integer()) :: {:ok, binary()} | {:error, String.t()}
  def post({ip, port, host}, path, token, body, deadline) do
    family = if tuple_size(ip) == 8, do: [:inet6], else: []
    options = family ++ [:binary, active: false, nodelay: true, send_timeout: left(deadline), send_timeout_close: true]

    case :gen_tcp.connect(ip, port, options, left(deadline)) do
      {:ok, socket} ->
        try do
          with :ok <- sent(socket, [head(path, host, token, IO.iodata_length(body)), body]),
               do: answer(socket, deadline)
        after
          :gen_tcp.close(socket)
        end

      {:error, why} ->
        {:error, "no daemon answers at `#{host}` (#{why}): start `wasmguard serve --daemon --http #{host}`"}
    end
  end

  @doc "The clock that deadlines are told by."
  @spec now() :: integer()
  def now, do: System.monotonic_time(:millisecond)

  defp left(deadline), do: max(deadline - now(), 1)

  defp head(path, host, token, length) do
    """
    POST #{path} HTTP/1.1\r
    Host: #{host}\r
    Authorization: Bearer #{token}\r
    Content-Type: application/json\r
    Content-Length: #{length}\r
    Connection: close\r
    \r
    """
  end

  # A daemon that refuses at once closes while we send: then its answer says more than the error.
  defp sent(socket, data) do
    case :gen_tcp.send(socket, data) do
      :ok -> :ok
      {:error, :closed} -> :ok
      {:error, why} -> {:error, "the daemon did not take the event (#{why})"}
    end
  end

  defp answer(socket, deadline) do
    with {:ok, head, rest} <- read_head(socket, "", deadline),
         {:ok, length} <- understood(head),
         {:ok, body} <- read_body(socket, rest, length, deadline),
         do: {:ok, body}
  end

  defp read_head(socket, come, deadline) do
    case :binary.split(come, "\r\n\r\n") do
      [head, rest] ->
        {:ok, head, rest}

      [_] when byte_size(come) > @largest_head ->
        {:error, "the answer's head has no end: something else listens there"}

      [_] ->
        with {:ok, more} <- received(socket, deadline), do: read_head(socket, come <> more, deadline)
    end
  end

  defp read_body(_, come, length, _) when byte_size(come) == length, do: {:ok, come}
  defp read_body(_, come, length, _) when byte_size(come) > length, do: {:error, "more came than was announced"}

  defp read_body(socket, come, length, deadline) do
    with {:ok, more} <- received(socket, deadline), do: read_body(socket, come <> more, length, deadline)
  end

  defp received(socket, deadline) do
    case now() < deadline and :gen_tcp.recv(socket, 0, left(deadline)) do
      {:ok, data} -> {:ok, data}
      {:error, :closed} -> {:error, "the answer broke off"}
      {:error, why} when why != :timeout -> {:error, "the answer broke off (#{why})"}
      _ -> {:error, "no answer came in time"}
    end
  end

  # How many bytes the body has, if this is an answer at all.
  defp understood(head) do
    [first | lines] = String.split(head, "\r\n")

    with {:ok, 200} <- status(first), {:ok, headers} <- headers(lines), do: length_of(headers)
  end

  defp status(line) do
    case Regex.run(~r/\AHTTP\/1\.1 ([0-9]{3})(?: |\z)/, line) do
      [_, "200"] -> {:ok, 200}
      [_, "401"] -> {:error, "the daemon does not know the token (401): it is another user's, or an old one"}
      [_, "404"] -> {:error, "the daemon does not know the question (404): it is of another version"}
      [_, "413"] -> {:error, "the event is larger than the daemon takes (413)"}
      [_, "3" <> _ = code] -> {:error, "the daemon sent us elsewhere (#{code}): something else listens there"}
      [_, code] -> {:error, "the daemon answered with status #{code}: see `wasmguard status`"}
      nil -> {:error, "the answer is no HTTP/1.1: something else listens there"}
    end
  end

  defp headers(lines) do
    Enum.reduce_while(lines, {:ok, []}, fn line, {:ok, done} ->
      case Regex.run(~r/\A([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*?)[ \t]*\z/, line) do
        [_, name, value] -> {:cont, {:ok, [{String.downcase(name), value} | done]}}
        nil -> {:halt, {:error, "a header of the answer is none"}}
      end
    end)
  end

  defp length_of(headers) do
    all = fn name -> for {^name, value} <- headers, do: value end
    coded = Enum.any?(headers, fn {name, _} -> name in ["transfer-encoding", "content-encoding"] end)

    with false <- coded,
         ["wasmguard"] <- all.("server"),
         [type] <- all.("content-type"),
         true <- type =~ ~r/\Aapplication\/json(?:;|\z)/,
         [text] <- all.("content-length"),
         true <- text =~ ~r/\A[0-9]{1,9}\z/,
         length when length <= @largest_body <- String.to_integer(text) do
      {:ok, length}
    else
      _ -> {:error, "the answer is none of wasmguard's, with JSON of a known length: something else listens there"}
    end
  end
end
