// Package wasmguard is what a policy in Go stands on: guest ABI 1, hidden.
//
// A policy is a function from a [Request] to an [Answer], named once:
//
//	package main
//
//	import "wasmguard"
//
//	func init() { wasmguard.Policy(judge) }
//
//	func main() {} // never called
//
//	func judge(r *wasmguard.Request) wasmguard.Answer {
//		if r.ToolName() == "Bash" {
//			return wasmguard.Deny("no shell here")
//		}
//		return wasmguard.Pass()
//	}
//
// A request that cannot be read ends in a trap, which the host makes a deny, and never in an answer. So nothing here
// returns an error, and a policy that recovers from a panic does not get past it either.
//
// Every event meets a fresh copy of the module, as it was after its init functions; these run when it is built. There
// are no files, no network, no environment, a clock that stands still, and random numbers that are always the same.
package wasmguard

var judge func(*Request) Answer

// broken is set before the panic about a malformed request, because a policy may recover from that.
var broken bool

// Policy names the function that is asked about each event. Call it once, in an init function.
func Policy(policy func(*Request) Answer) {
	if judge != nil {
		panic("wasmguard: there is a policy already")
	}
	judge = policy
	rehearse()
}

// rehearse reads and answers once, when the module is built: what Go sets up for its first allocations and its first
// encoder is there then, and no event pays for it.
func rehearse() {
	const request = "\x84\xa3abi\x01\xa5event\x82\xafhook_event_name\xaaPreToolUse\xaatool_input\x80" +
		"\xa8settings\x80\xa5state\xc0"
	r := read([]byte(request))
	r.InputText("file_path")
	Rewrite("file_path", r.SettingText("folder", "/")+r.EventName(), "rehearsed").Note("it").encode()
}

// evaluate is one event from the bytes of the request to the bytes of the answer.
func evaluate(data []byte) []byte {
	if judge == nil {
		panic("wasmguard: no policy: call wasmguard.Policy in an init function")
	}
	answer := judge(read(data))
	if broken {
		malformed("the request, from which the policy recovered")
	}
	return answer.encode()
}

// malformed ends the evaluation without an answer: what came is not a request of this ABI.
func malformed(what string) {
	broken = true
	panic("wasmguard: malformed: " + what)
}
