module NAME

go 1.26.0

toolchain go1.26.8

require wasmguard v0.0.0

require (
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)

replace wasmguard => ./kit
