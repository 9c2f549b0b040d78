//go:build wasm

package wasmguard

import (
	"runtime/debug"
	"unsafe"
)

// The heap up to which nothing is collected: one event rarely fills it, and the collector costs more than the policy.
// Above it the memory limit of the host, 16 MiB by default, would be near.
const uncollected = 10 << 20 // bytes

// What only the host knows about would be collected else.
var request, answer []byte

func init() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(uncollected)
}

//go:wasmexport wasmguard_abi_1
func wasmguardABI1() {}

//go:wasmexport wasmguard_alloc
func wasmguardAlloc(size uint32) uint32 {
	request = make([]byte, max(size, 1))
	return address(request)
}

//go:wasmexport wasmguard_evaluate
func wasmguardEvaluate(start, size uint32) uint64 {
	if len(request) == 0 || start != address(request) || uint64(size) > uint64(len(request)) {
		panic("wasmguard: the request is not where it was asked for")
	}
	answer = evaluate(request[:size])
	return uint64(address(answer))<<32 | uint64(len(answer))
}

func address(data []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(data))))
}
