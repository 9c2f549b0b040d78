defmodule Fake do
  @moduledoc "A daemon that answers as a test says: well, badly, or not at all."

  @head "Server: wasmguard\r\nContent-Type: application/json\r\n"
  @token String.duplicate("t", 43)

  def token, do: @token

  @doc """
  The options that lead to a server which answers each question with what `reply` returns: `{:json, value}`,
  `{:raw, bytes}`, `{:pieces, list, milliseconds_between}`, `:close` or `:hang`. The test gets `{:asked, head, body}`.
  """
  def options(reply, more \\ []) do
    {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false, ip: {127, 0, 0, 1}, backlog: 100])
    {:ok, port} = :inet.port(listener)
    test = self()
    reply = if is_function(reply), do: reply, else: fn _ -> reply end
    server = spawn_link(fn -> accept(listener, test, reply) end)
    :ok = :gen_tcp.controlling_process(listener, server)
    Keyword.merge([url: "http://127.0.0.1:#{port}", token: @token, timeout: 5_000, sdk: :guide], more)
  end

  @doc "Options that lead to a port where nobody listens."
  def nobody(more \\ []) do
    {:ok, listener} = :gen_tcp.listen(0, ip: {127, 0, 0, 1})
    {:ok, port} = :inet.port(listener)
    :gen_tcp.close(listener)
    Keyword.merge([url: "http://127.0.0.1:#{port}", token: @token, sdk: :guide], more)
  end

  @doc "A whole and right answer."
  def said(body, status \\ "200 OK", more \\ "") do
    body = if is_binary(body), do: body, else: elem(Wasmguard.JSON.encode(body), 1)
    "HTTP/1.1 #{status}\r\n#{@head}#{more}Content-Length: #{byte_size(body)}\r\n\r\n#{body}"
  end

  defp accept(listener, test, reply) do
    {:ok, socket} = :gen_tcp.accept(listener)
    spawn(fn -> serve(socket, test, reply) end) |> then(&:gen_tcp.controlling_process(socket, &1))
    accept(listener, test, reply)
  end

  defp serve(socket, test, reply) do
    with {:ok, head, body} <- request(socket, "") do
      send(test, {:asked, head, body})
      answer(socket, reply.(body))
    end

    :gen_tcp.close(socket)
  end

  defp answer(socket, {:json, value}), do: :gen_tcp.send(socket, said(value))
  defp answer(socket, {:raw, bytes}), do: :gen_tcp.send(socket, bytes)
  defp answer(_, :close), do: :ok
  defp answer(socket, :hang), do: :gen_tcp.recv(socket, 0, 30_000)

  defp answer(socket, {:pieces, pieces, pause}) do
    Enum.reduce_while(pieces, :ok, fn piece, _ ->
      Process.sleep(pause)
      if :gen_tcp.send(socket, piece) == :ok, do: {:cont, :ok}, else: {:halt, :ok}
    end)
  end

  defp request(socket, come) do
    with [head, rest] <- :binary.split(come, "\r\n\r\n"),
         [_, length] <- Regex.run(~r/content-length: (\d+)/i, head),
         true <- byte_size(rest) >= String.to_integer(length) do
      {:ok, body} = Wasmguard.JSON.decode(rest)
      {:ok, head, body}
    else
      _ -> with {:ok, more} <- :gen_tcp.recv(socket, 0, 30_000), do: request(socket, come <> more)
    end
  end
end
