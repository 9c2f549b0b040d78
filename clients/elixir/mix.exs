defmodule Wasmguard.MixProject do
  use Mix.Project

  def project do
    [
      app: :wasmguard,
      version: "0.1.0",
      elixir: "~> 1.14",
      elixirc_paths: if(Mix.env() == :test, do: ["lib", "test/support"], else: ["lib"]),
      deps: [],
      description: "Asks wasmguard about everything an agent of the Elixir SDK of Claude Code does",
      package: [licenses: ["Apache-2.0"], files: ["lib", "mix.exs", "README.md"]]
    ]
  end

  def application, do: []
end
