defmodule Wasmguard.Token do
  @moduledoc """
  The token that the daemon wants to see, from the file where wasmguard keeps it.

  1. It is a regular file (no symbolic link) that is closed to everybody else (no bit of 0077), or it is not read.
     Whoever can read such a file is its owner, or root, who needs no token.
  2. It is read anew for every question: it may have been made again.
  3. A token is 43 letters, digits, `-` and `_`. Anything else is none, so it cannot break out of its header.
  """

  import Bitwise, only: [&&&: 2]

  @length 43

  @doc "Whether `text` can be a token."
  @spec token?(term()) :: boolean()
  def token?(text), do: is_binary(text) and byte_size(text) == @length and text =~ ~r/\A[A-Za-z0-9_-]+\z/

  @doc "The token in the file, or why there is none to be had."
  @spec read(Path.t()) :: {:ok, String.t()} | {:error, String.t()}
  def read(path) do
    with {:ok, seen} <- File.lstat(path),
         :ok <- regular(seen),
         {:ok, {opened, said}} <- File.open(path, [:read, :raw, :binary], &content/1),
         :ok <- private(seen, opened),
         text = String.replace_suffix(said, "\n", ""),
         true <- token?(text) do
      {:ok, text}
    else
      false -> {:error, "`#{path}` holds no token: delete it and install wasmguard again"}
      {:error, why} when is_binary(why) -> {:error, "`#{path}` #{why}: delete it and install wasmguard again"}
      {:error, :enoent} -> {:error, "there is no token at `#{path}`: start `wasmguard serve --daemon --http` once"}
      {:error, why} -> {:error, "`#{path}` cannot be read (#{inspect(why)}): see who it belongs to"}
    end
  end

  @doc "Where wasmguard keeps it on this system: below `$XDG_STATE_HOME`, else below the home folder."
  @spec default_path() :: Path.t()
  def default_path do
    case {:os.type(), System.get_env("XDG_STATE_HOME")} do
      {{:unix, :darwin}, _} -> Path.join(home(), "Library/Application Support/wasmguard/state/token")
      {_, "/" <> _ = state} -> Path.join(state, "wasmguard/token")
      _ -> Path.join(home(), ".local/state/wasmguard/token")
    end
  end

  defp home, do: System.user_home() || "/"

  defp regular(%File.Stat{type: :regular}), do: :ok
  defp regular(_), do: {:error, "is no regular file"}

  # What is in the open file, and what it is: the name may mean another one by now.
  defp content(file) do
    {:ok, info} = :file.read_file_info(file)

    case IO.binread(file, @length + 2) do
      said when is_binary(said) -> {File.Stat.from_record(info), said}
      _ -> {File.Stat.from_record(info), ""}
    end
  end

  defp private(seen, opened) do
    cond do
      {seen.inode, seen.major_device} != {opened.inode, opened.major_device} -> {:error, "was just replaced"}
      match?({:unix, _}, :os.type()) and (opened.mode &&& 0o077) != 0 -> {:error, "is open to others"}
      true -> :ok
    end
  end
end
