defmodule Wasmguard.TokenTest do
  use ExUnit.Case, async: true

  alias Wasmguard.Token

  @token String.duplicate("aB3_-", 8) <> "xyz"

  setup do
    folder = Path.join(System.tmp_dir!(), "wasmguard-#{System.unique_integer([:positive])}-#{:os.getpid()}")
    File.mkdir_p!(folder)
    on_exit(fn -> File.rm_rf!(folder) end)
    {:ok, path: Path.join(folder, "token")}
  end

  defp written(path, text, mode \\ 0o600) do
    File.write!(path, text)
    File.chmod!(path, mode)
    path
  end

  test "a token of its owner's alone is read, with and without a line end", %{path: path} do
    assert Token.read(written(path, @token <> "\n")) == {:ok, @token}
    assert Token.read(written(path, @token)) == {:ok, @token}
  end

  test "a file that others may touch is not read", %{path: path} do
    for mode <- [0o640, 0o604, 0o620, 0o644, 0o666, 0o601] do
      assert {:error, why} = Token.read(written(path, @token, mode))
      assert why =~ "open to others"
      refute why =~ @token
    end
  end

  test "no symbolic link, no folder, no pipe is read, and none is waited for", %{path: path} do
    File.ln_s!(written(path <> "2", @token), path)
    assert {:error, _} = Token.read(path)
    File.rm!(path)
    File.mkdir!(path)
    assert {:error, _} = Token.read(path)
    File.rmdir!(path)
    {_, 0} = System.cmd("mkfifo", ["-m", "600", path])
    assert {:error, _} = Token.read(path)
  end

  test "what is no token is none", %{path: path} do
    for text <- ["", "\n", "short", @token <> "x", @token <> "\n\n", "a b" <> @token, String.duplicate("é", 43)] do
      assert {:error, _} = Token.read(written(path, text))
    end
  end

  test "where there is none, it is said how one is made", %{path: path} do
    assert {:error, why} = Token.read(path)
    assert why =~ "wasmguard serve"
  end
end
