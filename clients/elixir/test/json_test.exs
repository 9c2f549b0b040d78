defmodule Wasmguard.JSONTest do
  use ExUnit.Case, async: true

  alias Wasmguard.JSON

  test "what was written is read as it was" do
    for value <- [
          nil,
          true,
          false,
          0,
          -1,
          12_345_678_901_234_567_890,
          1.5,
          -0.25,
          1.0e300,
          5.0e-324,
          "",
          "a\"b\\c/d\b\f\n\r\t\0\x1f\x7f",
          "é日本😀 ",
          [],
          [1, [2, [3]]],
          %{},
          %{"a" => %{"b" => [nil, %{}]}, "" => 1}
        ] do
      {:ok, bytes} = JSON.encode(value)
      assert JSON.decode(bytes) === {:ok, value}
    end
  end

  test "random values are read as they were written" do
    :rand.seed(:exsss, {1, 2, 3})

    for _ <- 1..2_000 do
      value = random(4)
      {:ok, bytes} = JSON.encode(value)
      assert JSON.decode(bytes) === {:ok, value}
    end
  end

  test "a text that is not whole JSON is refused at every byte, and nothing raises" do
    whole = ~s({"a": [1, -2.5e+3, "x\\u00e9\\ud83d\\ude00\\n", {"b": null}], "c": true})
    assert {:ok, %{"a" => [1, -2500.0, "xé😀\n", %{"b" => nil}], "c" => true}} = JSON.decode(whole)

    for size <- 0..(byte_size(whole) - 1) do
      assert {:error, why} = JSON.decode(binary_part(whole, 0, size))
      assert is_binary(why)
    end
  end

  test "bytes that were changed at random are read or refused, and nothing raises" do
    :rand.seed(:exsss, {4, 5, 6})
    whole = ~s({"a": [1, -2.5e+3, "x\\u00e9", {"b": null}], "c": true})

    for _ <- 1..5_000 do
      at = :rand.uniform(byte_size(whole)) - 1
      <<before::binary-size(at), _, rest::bits>> = whole
      assert {word, _} = JSON.decode(before <> <<:rand.uniform(256) - 1>> <> rest)
      assert word in [:ok, :error]
    end
  end

  for {name, text} <- [
        {"nothing", ""},
        {"blanks", " \n"},
        {"two values", "{} {}"},
        {"a byte order mark", "\uFEFF{}"},
        {"a key twice", ~s({"a": 1, "a": 1})},
        {"a key twice, once escaped", ~s({"a": 1, "\\u0061": 2})},
        {"a key twice below", ~s([{"a": {"b": 1, "b": 2}}])},
        {"a comma too many", "[1,]"},
        {"a comma too many in an object", ~s({"a": 1,})},
        {"single quotes", "{'a': 1}"},
        {"a comment", "[1 /* one */]"},
        {"a leading zero", "01"},
        {"a plus sign", "+1"},
        {"a bare point", "1."},
        {"NaN", "NaN"},
        {"an infinity", "-Infinity"},
        {"a number beyond a double", "1e400"},
        {"a number of many digits", String.duplicate("9", 5_000)},
        {"a control character", "\"a\nb\""},
        {"a byte that is no UTF-8", <<?", 0xFF, ?">>},
        {"an overlong character", <<?", 0xC0, 0x80, ?">>},
        {"a surrogate in UTF-8", <<?", 0xED, 0xA0, 0x80, ?">>},
        {"half a surrogate pair", ~S("\ud800")},
        {"the other half", ~S("\udc00")},
        {"two first halves", ~S("\ud800\ud800")},
        {"an unknown escape", ~S("\x")},
        {"a short escape", ~S("\u12")},
        {"an escape that is no number", ~S("\u00+1")},
        {"a key without a value", ~s({"a"})},
        {"a key that is no text", "{1: 2}"},
        {"a word in capitals", "True"},
        {"65 levels", String.duplicate("[", 65) <> String.duplicate("]", 65)}
      ] do
    @text text
    test "#{name} is refused" do
      assert {:error, _} = JSON.decode(@text)
    end
  end

  test "a million brackets are refused at once" do
    assert {:error, _} = JSON.decode(String.duplicate("[", 1_000_000))
    assert {:error, _} = JSON.decode(String.duplicate(~s({"a":), 1_000_000))
  end

  test "what JSON cannot say is refused, and not shown" do
    secret = "sk-ant-secret"

    for value <- [
          self(),
          make_ref(),
          {secret, 1},
          fn -> secret end,
          [1 | 2],
          %{1 => 2},
          %{{1, 2} => 3},
          <<0xFF>>,
          <<1::3>>,
          %URI{host: secret},
          [a: secret],
          %{secret => <<0xFF>>},
          %{"deep" => [%{"x" => {1}}]}
        ] do
      assert {:error, why} = JSON.encode(value)
      refute why =~ secret
    end
  end

  test "a key as atom and as text at once is refused" do
    assert {:error, _} = JSON.encode(%{:a => 1, "a" => 2})
  end

  test "atoms and times are written as text" do
    assert {:ok, ~s({"a":"b"})} = JSON.encode(%{a: :b})
    assert {:ok, ~s("2026-01-02T03:04:05Z")} = JSON.encode(~U[2026-01-02 03:04:05Z])
    assert {:ok, ~s("2026-01-02")} = JSON.encode(~D[2026-01-02])
  end

  test "what is nested deeper than an event may be is not written" do
    deep = Enum.reduce(1..64, 1, fn _, inner -> [inner] end)
    assert {:error, _} = JSON.encode(deep)
  end

  defp random(0), do: Enum.random([nil, true, :rand.uniform(), -:rand.uniform(1_000_000), text()])
  defp random(depth) when depth > 0, do: random(depth, :rand.uniform(4))
  defp random(depth, 1), do: for(_ <- 1..:rand.uniform(4), do: random(depth - 1))
  defp random(depth, 2), do: Map.new(1..:rand.uniform(4), fn _ -> {text(), random(depth - 1)} end)
  defp random(_, _), do: random(0)
  defp text, do: for(_ <- 1..:rand.uniform(8), into: "", do: <<Enum.random([?a, ?", ?\\, 0, ?\n, ?é, ?😀])::utf8>>)
end
