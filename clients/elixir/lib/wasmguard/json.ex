defmodule Wasmguard.JSON do
  @moduledoc """
  JSON, read and written so strictly that no two readers could understand it differently.

  1. A text is one value and nothing else (RFC 8259). What other readers forgive is refused: a key twice, a comma too
     many, a byte that is no UTF-8, half a surrogate pair, a number beyond a double, more than 64 levels.
  2. Only what JSON can say is written. A pid, a tuple, a function, a struct of somebody's: an error, never a guess.
     Atoms are written as text, and the four structs for dates and times as ISO 8601.
  3. Errors say what kind of thing is wrong, never what it holds: they end up in logs.

  It is the same on every OTP: `:json` (27), `JSON` (1.18) and Jason each keep the last of two equal keys.
  """

  @deepest 64
  @longest_number 400

  @doc "The bytes of `term`, or why JSON cannot say it."
  @spec encode(term()) :: {:ok, binary()} | {:error, String.t()}
  def encode(term) do
    {:ok, IO.iodata_to_binary(write(term, @deepest))}
  catch
    {__MODULE__, why} -> {:error, why}
  end

  @doc "The value that the bytes say; objects are maps with text keys. Or why they say none."
  @spec decode(binary()) :: {:ok, term()} | {:error, String.t()}
  def decode(bytes) when is_binary(bytes) do
    {value, rest} = bytes |> blank() |> value(@deepest)
    if blank(rest) == "", do: {:ok, value}, else: {:error, "something follows the JSON"}
  catch
    {__MODULE__, why} -> {:error, why}
  end

  # Writing

  defp write(_, 0), do: fail("more than #{@deepest} levels")
  defp write(nil, _), do: "null"
  defp write(true, _), do: "true"
  defp write(false, _), do: "false"
  defp write(atom, _) when is_atom(atom), do: quoted(Atom.to_string(atom))
  defp write(text, _) when is_binary(text), do: quoted(text)
  defp write(number, _) when is_integer(number), do: Integer.to_string(number)
  defp write(number, _) when is_float(number), do: Float.to_string(number)
  defp write([], _), do: "[]"
  defp write([first | rest], depth), do: [?[, write(first, depth - 1), items(rest, depth - 1)]

  defp write(%kind{} = time, _) when kind in [DateTime, NaiveDateTime, Date, Time],
    do: quoted(kind.to_iso8601(time))

  defp write(%kind{}, _), do: fail("a struct #{inspect(kind)} is no JSON")
  defp write(map, _) when map_size(map) == 0, do: "{}"
  defp write(map, depth) when is_map(map), do: object(Map.to_list(map), depth - 1)
  defp write(tuple, _) when is_tuple(tuple), do: fail("a tuple is no JSON")
  defp write(function, _) when is_function(function), do: fail("a function is no JSON")
  defp write(pid, _) when is_pid(pid), do: fail("a pid is no JSON")
  defp write(_, _), do: fail("a reference, a port or bits are no JSON")

  defp items([], _), do: "]"
  defp items([item | rest], depth), do: [?,, write(item, depth) | items(rest, depth)]
  defp items(_, _), do: fail("an improper list is no JSON")

  defp object(pairs, depth) do
    pairs = Enum.map(pairs, fn {key, value} -> {key(key), value} end)
    if length(Enum.uniq_by(pairs, &elem(&1, 0))) < length(pairs), do: fail("a key is there as atom and as text")
    [?{, Enum.map_intersperse(pairs, ?,, fn {key, value} -> [quoted(key), ?:, write(value, depth)] end), ?}]
  end

  defp key(key) when is_binary(key), do: key
  defp key(key) when is_atom(key), do: Atom.to_string(key)
  defp key(_), do: fail("a key is neither text nor an atom")

  defp quoted(text), do: [?", escaped(text, text, 0, []), ?"]

  # The text in pieces: runs of characters that need no escape (the first `size` bytes of `run`) and escapes.
  defp escaped(<<>>, run, size, done), do: [done, binary_part(run, 0, size)]

  defp escaped(<<char, rest::bits>>, run, size, done) when char < 0x20 or char in [?", ?\\] do
    escaped(rest, rest, 0, [done, binary_part(run, 0, size), escape(char)])
  end

  defp escaped(<<char, rest::bits>>, run, size, done) when char < 0x80, do: escaped(rest, run, size + 1, done)
  defp escaped(<<c::utf8, rest::bits>>, run, size, done), do: escaped(rest, run, size + width(c), done)
  defp escaped(_, _, _, _), do: fail("a text is no UTF-8")

  defp escape(?"), do: "\\\""
  defp escape(?\\), do: "\\\\"
  defp escape(?\n), do: "\\n"
  defp escape(char), do: ["\\u00", Integer.to_string(char + 0x100, 16) |> binary_part(1, 2)]

  defp width(char) when char < 0x800, do: 2
  defp width(char) when char < 0x10000, do: 3
  defp width(_), do: 4

  # Reading

  defp blank(<<char, rest::bits>>) when char in [?\s, ?\t, ?\n, ?\r], do: blank(rest)
  defp blank(rest), do: rest

  defp value(_, 0), do: fail("more than #{@deepest} levels")
  defp value(<<"null", rest::bits>>, _), do: {nil, rest}
  defp value(<<"true", rest::bits>>, _), do: {true, rest}
  defp value(<<"false", rest::bits>>, _), do: {false, rest}
  defp value(<<?", rest::bits>>, _), do: text(rest, rest, 0, [])
  defp value(<<?[, rest::bits>>, depth), do: list(blank(rest), depth - 1)
  defp value(<<?{, rest::bits>>, depth), do: map(blank(rest), depth - 1)
  defp value(<<char, _::bits>> = rest, _) when char == ?- or char in ?0..?9, do: number(rest)
  defp value(<<>>, _), do: fail("the JSON ends too early")
  defp value(_, _), do: fail("this is no JSON")

  defp list(<<?], rest::bits>>, _), do: {[], rest}
  defp list(rest, depth), do: list(rest, depth, [])

  defp list(rest, depth, done) do
    {item, rest} = value(rest, depth)

    case blank(rest) do
      <<?,, rest::bits>> -> list(blank(rest), depth, [item | done])
      <<?], rest::bits>> -> {Enum.reverse([item | done]), rest}
      _ -> fail("a list does not end")
    end
  end

  defp map(<<?}, rest::bits>>, _), do: {%{}, rest}
  defp map(rest, depth), do: map(rest, depth, %{})

  defp map(<<?", rest::bits>>, depth, done) do
    {key, rest} = text(rest, rest, 0, [])
    if is_map_key(done, key), do: fail("a key is there twice")

    case blank(rest) do
      <<?:, rest::bits>> -> rest |> blank() |> value(depth) |> pair(key, depth, done)
      _ -> fail("a key has no value")
    end
  end

  defp map(_, _, _), do: fail("an object does not go on with a key")

  defp pair({value, rest}, key, depth, done) do
    done = Map.put(done, key, value)

    case blank(rest) do
      <<?,, rest::bits>> -> map(blank(rest), depth, done)
      <<?}, rest::bits>> -> {done, rest}
      _ -> fail("an object does not end")
    end
  end

  # As `escaped`, the other way round.
  defp text(<<?", rest::bits>>, run, size, done) do
    {IO.iodata_to_binary([done, binary_part(run, 0, size)]), rest}
  end

  defp text(<<?\\, rest::bits>>, run, size, done) do
    {char, rest} = unescaped(rest)
    text(rest, rest, 0, [done, binary_part(run, 0, size), <<char::utf8>>])
  end

  defp text(<<char, _::bits>>, _, _, _) when char < 0x20, do: fail("a control character stands in a text")
  defp text(<<char, rest::bits>>, run, size, done) when char < 0x80, do: text(rest, run, size + 1, done)
  defp text(<<c::utf8, rest::bits>>, run, size, done), do: text(rest, run, size + width(c), done)
  defp text(<<>>, _, _, _), do: fail("a text does not end")
  defp text(_, _, _, _), do: fail("a text is no UTF-8")

  defp unescaped(<<?u, rest::bits>>) do
    case unit(rest) do
      {high, <<"\\u", rest::bits>>} when high in 0xD800..0xDBFF -> pair_of(high, unit(rest))
      {half, _} when half in 0xD800..0xDFFF -> fail("half a surrogate pair stands in a text")
      found -> found
    end
  end

  for {char, meant} <- [{?", ?"}, {?\\, ?\\}, {?/, ?/}, {?b, ?\b}, {?f, ?\f}, {?n, ?\n}, {?r, ?\r}, {?t, ?\t}] do
    defp unescaped(<<unquote(char), rest::bits>>), do: {unquote(meant), rest}
  end

  defp unescaped(_), do: fail("an escape is none")

  defp pair_of(high, {low, rest}) when low in 0xDC00..0xDFFF,
    do: {0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00), rest}

  defp pair_of(_, _), do: fail("half a surrogate pair stands in a text")

  defp unit(<<digits::binary-size(4), rest::bits>>) do
    if digits =~ ~r/\A[0-9a-fA-F]{4}\z/, do: {String.to_integer(digits, 16), rest}, else: fail("an escape is none")
  end

  defp unit(_), do: fail("an escape is none")

  defp number(rest) do
    case Regex.run(~r/\A(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?/, head(rest)) do
      [all | _] when byte_size(all) > @longest_number -> fail("a number has too many digits")
      [all, whole] -> {String.to_integer(whole), behind(rest, all)}
      [all, whole, fraction] -> {float(whole <> fraction), behind(rest, all)}
      [all, whole, "", power] -> {float(whole <> ".0" <> power), behind(rest, all)}
      [all, whole, fraction, power] -> {float(whole <> fraction <> power), behind(rest, all)}
      nil -> fail("a number is none")
    end
  end

  defp head(rest), do: binary_part(rest, 0, min(byte_size(rest), @longest_number + 1))
  defp behind(rest, taken), do: binary_part(rest, byte_size(taken), byte_size(rest) - byte_size(taken))

  defp float(text) do
    :erlang.binary_to_float(text)
  rescue
    ArgumentError -> fail("a number is beyond a double")
  end

  @spec fail(String.t()) :: no_return()
  defp fail(why), do: throw({__MODULE__, why})
end
