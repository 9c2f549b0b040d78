;; NAME: denies writes below a folder. WebAssembly text: no toolchain, no kit, no imports, every byte is here to be read.
;;
;; wasmguard asks for memory with `wasmguard_alloc`, writes a request into it and calls `wasmguard_evaluate`. Both the
;; request and the answer are msgpack: {abi: 1, event: {…}, settings: {…}, state: bytes or nil} and
;; {effect: "deny", reason: "…"}; the empty map means pass, no opinion.
;;
;; What cannot be read ends in `unreachable`, a trap, which wasmguard makes a deny. Never answer what you could not read.
(module
  (memory (export "memory") 1)

  ;; Words, each with a zero behind it.
  (data (i32.const 16) "abi\00")
  (data (i32.const 24) "event\00")
  (data (i32.const 32) "settings\00")
  (data (i32.const 48) "state\00")
  (data (i32.const 56) "hook_event_name\00")
  (data (i32.const 72) "PreToolUse\00")
  (data (i32.const 88) "tool_input\00")
  (data (i32.const 104) "file_path\00")
  (data (i32.const 128) "/etc\00") ;; the folder; it may have 127 bytes
  (data (i32.const 256) "NAME: \00")
  (data (i32.const 384) " is in \00")
  (data (i32.const 400) "\82\a6effect\a4deny\a6reason\db") ;; 21 bytes; behind them the size of the reason in four, and it

  (global $free (mut i32) (i32.const 512)) ;; nothing lives from here on
  (global $at (mut i32) (i32.const 0)) ;; the byte of the request that is read next
  (global $end (mut i32) (i32.const 0)) ;; the first byte behind the request
  (global $kind (mut i32) (i32.const 0)) ;; what `$head` has read: 0 nil, 1 boolean, 2 integer, 3 float, 4 text, 5 binary,
  (global $size (mut i32) (i32.const 0)) ;; 6 array, 7 map; its bytes, items or entries, or the integer;
  (global $text (mut i32) (i32.const 0)) ;; and where a text begins
  (global $before (mut i32) (i32.const 0)) ;; whether the event is one before a tool runs
  (global $path (mut i32) (i32.const 0)) ;; tool_input.file_path; 0 if there is none
  (global $path_size (mut i32) (i32.const 0))

  ;; --- the policy ---

  (func $judge (result i64)
    (if (i32.or (i32.eqz (global.get $before)) (i32.eqz (global.get $path))) (then (return (call $pass))))
    ;; One of the cases fails: /tmp/../etc/x is in /etc, too. Resolve the path first, then it is green:
    ;; (call $normal)
    (if (call $is_in (i32.const 128)) (then (return (call $deny))))
    (call $pass))

  ;; Whether the path is the folder `$folder`, or below it.
  (func $is_in (param $folder i32) (result i32) (local $at i32) (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (i32.add (local.get $folder) (local.get $at))))
      (if (local.get $byte) (then
        (if (i32.ge_u (local.get $at) (global.get $path_size)) (then (return (i32.const 0))))
        (if (i32.ne (local.get $byte) (call $path_byte (local.get $at))) (then (return (i32.const 0))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))
    (if (i32.eq (local.get $at) (global.get $path_size)) (then (return (i32.const 1))))
    (i32.eq (call $path_byte (local.get $at)) (i32.const 0x2f)))

  (func $path_byte (param $at i32) (result i32)
    (i32.load8_u (i32.add (global.get $path) (local.get $at))))

  ;; Make the path one without `.`, `..` and doubled slashes, as text. One that is not absolute stays as it is.
  (func $normal (local $made i32) (local $size i32) (local $from i32) (local $to i32)
    (if (i32.eqz (global.get $path_size)) (then (return)))
    (if (i32.ne (call $path_byte (i32.const 0)) (i32.const 0x2f)) (then (return)))
    (local.set $made (call $take (global.get $path_size)))
    (loop $name
      (local.set $from (i32.add (local.get $to) (i32.const 1)))
      (local.set $to (local.get $from))
      (block $whole (loop $byte ;; the name is what stands between the slash before `$from` and the one at `$to`
        (br_if $whole (i32.ge_u (local.get $to) (global.get $path_size)))
        (br_if $whole (i32.eq (call $path_byte (local.get $to)) (i32.const 0x2f)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (br $byte)))
      (if (call $dots (local.get $from) (local.get $to) (i32.const 2))
        (then (block $top (loop $back ;; one name back, with its slash
          (br_if $top (i32.eqz (local.get $size)))
          (local.set $size (i32.sub (local.get $size) (i32.const 1)))
          (br_if $back (i32.ne (i32.load8_u (i32.add (local.get $made) (local.get $size))) (i32.const 0x2f))))))
        (else (if (i32.eqz (call $dots (local.get $from) (local.get $to) (i32.sub (local.get $to) (local.get $from))))
          (then ;; the name, and the slash before it
            (local.set $from (i32.sub (local.get $from) (i32.const 1)))
            (memory.copy (i32.add (local.get $made) (local.get $size)) (i32.add (global.get $path) (local.get $from))
              (i32.sub (local.get $to) (local.get $from)))
            (local.set $size (i32.add (local.get $size) (i32.sub (local.get $to) (local.get $from))))))))
      (br_if $name (i32.lt_u (local.get $to) (global.get $path_size))))
    (if (i32.eqz (local.get $size)) (then ;; nothing is left: the top
      (i32.store8 (local.get $made) (i32.const 0x2f))
      (local.set $size (i32.const 1))))
    (global.set $path (local.get $made))
    (global.set $path_size (local.get $size)))

  ;; Whether the name between the two is `$many` dots. None, one and two are no names; three are.
  (func $dots (param $from i32) (param $to i32) (param $many i32) (result i32)
    (if (i32.ne (i32.sub (local.get $to) (local.get $from)) (local.get $many)) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $many) (i32.const 2)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eq (local.get $from) (local.get $to)) (then (return (i32.const 1))))
      (if (i32.ne (call $path_byte (local.get $from)) (i32.const 0x2e)) (then (return (i32.const 0))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; --- answers ---

  (func $pass (result i64) (local $made i32)
    (local.set $made (call $take (i32.const 1)))
    (i32.store8 (local.get $made) (i32.const 0x80)) ;; the empty map
    (call $answer (local.get $made)))

  (func $deny (result i64) (local $made i32)
    (local.set $made (call $put (i32.const 400) (i32.const 21)))
    (drop (call $take (i32.const 4)))
    (call $put_word (i32.const 256))
    (drop (call $put (global.get $path) (global.get $path_size)))
    (call $put_word (i32.const 384))
    (call $put_word (i32.const 128))
    (call $put_number (i32.add (local.get $made) (i32.const 21))
      (i32.sub (i32.sub (global.get $free) (local.get $made)) (i32.const 25)))
    (call $answer (local.get $made)))

  ;; Everything from `$made` on, as the host wants it: the address in the upper half, the size in the lower one.
  (func $answer (param $made i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $made)) (i64.const 32))
      (i64.extend_i32_u (i32.sub (global.get $free) (local.get $made)))))

  (func $put (param $from i32) (param $size i32) (result i32) (local $made i32)
    (local.set $made (call $take (local.get $size)))
    (memory.copy (local.get $made) (local.get $from) (local.get $size))
    (local.get $made))

  (func $put_word (param $word i32) ;; without its zero
    (loop $next
      (if (i32.load8_u (local.get $word)) (then
        (drop (call $put (local.get $word) (i32.const 1)))
        (local.set $word (i32.add (local.get $word) (i32.const 1)))
        (br $next)))))

  (func $put_number (param $to i32) (param $number i32) (local $byte i32) ;; in four bytes, the highest first
    (loop $next
      (i32.store8 (i32.add (local.get $to) (local.get $byte))
        (i32.shr_u (local.get $number) (i32.sub (i32.const 24) (i32.mul (i32.const 8) (local.get $byte)))))
      (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $byte) (i32.const 4)))))

  ;; --- the request ---

  (func (export "wasmguard_abi_1"))

  (func (export "wasmguard_evaluate") (param $from i32) (param $size i32) (result i64)
    (local $left i32) (local $seen i32)
    (global.set $at (local.get $from))
    (global.set $end (i32.add (local.get $from) (local.get $size)))
    (local.set $left (call $map))
    (block $whole (loop $next
      (br_if $whole (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $key)
      (if (call $is (i32.const 16)) (then
        (local.set $seen (call $once (local.get $seen) (i32.const 1)))
        (call $head)
        (call $must (i32.and (i32.eq (global.get $kind) (i32.const 2)) (i32.eq (global.get $size) (i32.const 1))))
        (br $next)))
      (if (call $is (i32.const 24)) (then
        (local.set $seen (call $once (local.get $seen) (i32.const 2)))
        (call $event)
        (br $next)))
      (if (call $is (i32.const 32)) (then
        (local.set $seen (call $once (local.get $seen) (i32.const 4)))
        (call $must (i32.eq (call $kind_ahead) (i32.const 7)))
        (call $skip (i32.const 1))
        (br $next)))
      (if (call $is (i32.const 48)) (then
        (local.set $seen (call $once (local.get $seen) (i32.const 8)))
        (call $head)
        (call $must (i32.or (i32.eqz (global.get $kind)) (i32.eq (global.get $kind) (i32.const 5))))
        (br $next)))
      (call $skip (i32.const 1))
      (br $next)))
    (call $must (i32.eq (local.get $seen) (i32.const 15))) ;; all four
    (call $must (i32.eq (global.get $at) (global.get $end))) ;; and nothing behind them
    (call $judge))

  (func $event (local $left i32) (local $seen i32)
    (local.set $left (call $map))
    (block $whole (loop $next
      (br_if $whole (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $key)
      (if (call $is (i32.const 56)) (then ;; hook_event_name
        (local.set $seen (call $once (local.get $seen) (i32.const 1)))
        (call $key)
        (call $check_utf8)
        (global.set $before (call $is (i32.const 72)))
        (br $next)))
      (if (call $is (i32.const 88)) (then ;; tool_input
        (local.set $seen (call $once (local.get $seen) (i32.const 2)))
        (if (i32.eq (call $kind_ahead) (i32.const 7)) (then
          (call $tool_input)
          (br $next)))))
      (call $skip (i32.const 2))
      (br $next))))

  (func $tool_input (local $left i32) (local $seen i32)
    (local.set $left (call $map))
    (block $whole (loop $next
      (br_if $whole (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $key)
      (if (call $is (i32.const 104)) (then ;; file_path; if it is no text, the tool will refuse it
        (local.set $seen (call $once (local.get $seen) (i32.const 1)))
        (if (i32.eq (call $kind_ahead) (i32.const 4)) (then
          (call $key)
          (call $check_utf8)
          (global.set $path (global.get $text))
          (global.set $path_size (global.get $size))
          (br $next)))))
      (call $skip (i32.const 3)) ;; a `content` of any size costs nothing
      (br $next))))

  ;; --- msgpack ---

  (func $must (param $true i32)
    (if (i32.eqz (local.get $true)) (then (unreachable))))

  ;; What was seen, and this bit too, which must not have been there: nothing is said twice.
  (func $once (param $seen i32) (param $bit i32) (result i32)
    (call $must (i32.eqz (i32.and (local.get $seen) (local.get $bit))))
    (i32.or (local.get $seen) (local.get $bit)))

  (func $map (result i32)
    (call $head)
    (call $must (i32.eq (global.get $kind) (i32.const 7)))
    (global.get $size))

  (func $key ;; or another text
    (call $head)
    (call $must (i32.eq (global.get $kind) (i32.const 4))))

  ;; The kind of what comes next, which stays where it is. The text that was read before is forgotten.
  (func $kind_ahead (result i32) (local $here i32)
    (local.set $here (global.get $at))
    (call $head)
    (global.set $at (local.get $here))
    (global.get $kind))

  ;; Step over one value, whatever is in it. Real events are nested less than 64 deep.
  (func $skip (param $depth i32) (local $left i32) (local $is_map i32)
    (call $must (i32.lt_u (local.get $depth) (i32.const 128)))
    (call $head)
    (if (i32.lt_u (global.get $kind) (i32.const 6)) (then (return)))
    (local.set $left (global.get $size))
    (local.set $is_map (i32.eq (global.get $kind) (i32.const 7)))
    (block $whole (loop $next
      (br_if $whole (i32.eqz (local.get $left)))
      (if (local.get $is_map) (then (call $key)))
      (call $skip (i32.add (local.get $depth) (i32.const 1)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $next))))

  ;; Whether the text that was just read is this word.
  (func $is (param $word i32) (result i32) (local $at i32) (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (i32.add (local.get $word) (local.get $at))))
      (if (i32.eq (local.get $at) (global.get $size)) (then (return (i32.eqz (local.get $byte)))))
      (if (i32.eqz (local.get $byte)) (then (return (i32.const 0)))) ;; the text may hold a zero, a word ends with one
      (if (i32.ne (local.get $byte) (i32.load8_u (i32.add (global.get $text) (local.get $at))))
        (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; Read what a value begins with; of a text, a binary and a number all of it.
  (func $head (local $first i32)
    (call $must (i32.lt_u (global.get $at) (global.get $end)))
    (local.set $first (i32.load8_u (global.get $at)))
    (global.set $at (i32.add (global.get $at) (i32.const 1)))
    (global.set $size (local.get $first))
    (if (i32.lt_u (local.get $first) (i32.const 0x80)) (then (return (global.set $kind (i32.const 2)))))
    (if (i32.ge_u (local.get $first) (i32.const 0xe0)) (then (return (global.set $kind (i32.const 2)))))
    (global.set $size (i32.and (local.get $first) (i32.const 15)))
    (if (i32.lt_u (local.get $first) (i32.const 0x90)) (then (return (global.set $kind (i32.const 7)))))
    (if (i32.lt_u (local.get $first) (i32.const 0xa0)) (then (return (global.set $kind (i32.const 6)))))
    (if (i32.lt_u (local.get $first) (i32.const 0xc0)) (then
      (return (call $bytes (i32.const 4) (i32.and (local.get $first) (i32.const 31))))))
    (block $map (block $array (block $text (block $integer (block $float (block $binary (block $boolean (block $nil
    (block $never
      (br_table $nil $never $boolean $boolean $binary $binary $binary $never $never $never $float $float ;; c0 to cb
        $integer $integer $integer $integer $integer $integer $integer $integer ;; cc to d3
        $never $never $never $never $never $text $text $text $array $array $map $map ;; d4 to df
        $never (i32.sub (local.get $first) (i32.const 0xc0))))
      (unreachable)) ;; c1, and the ext types, which requests have not
    (return (global.set $kind (i32.const 0))))
    (return (global.set $kind (i32.const 1))))
    (return (call $bytes (i32.const 5) (call $wide (i32.sub (local.get $first) (i32.const 0xc4))))))
    (return (call $bytes (i32.const 3) (i32.shl (i32.const 4) (i32.sub (local.get $first) (i32.const 0xca))))))
    (global.set $kind (i32.const 2)) ;; the only one that counts is 1, and nobody writes that in eight bytes
    (local.set $first (i32.and (local.get $first) (i32.const 3)))
    (if (i32.eq (local.get $first) (i32.const 3)) (then (return (call $bytes (i32.const 2) (i32.const 8)))))
    (return (global.set $size (call $wide (local.get $first)))))
    (return (call $bytes (i32.const 4) (call $wide (i32.sub (local.get $first) (i32.const 0xd9))))))
    (global.set $kind (i32.const 6))
    (return (global.set $size (call $wide (i32.sub (local.get $first) (i32.const 0xdb))))))
    (global.set $kind (i32.const 7))
    (global.set $size (call $wide (i32.sub (local.get $first) (i32.const 0xdd)))))

  ;; This many bytes are a value of that kind; step over them.
  (func $bytes (param $kind i32) (param $size i32)
    (call $must (i32.le_u (local.get $size) (i32.sub (global.get $end) (global.get $at))))
    (global.set $kind (local.get $kind))
    (global.set $text (global.get $at))
    (global.set $size (local.get $size))
    (global.set $at (i32.add (global.get $at) (local.get $size))))

  (func $wide (param $width i32) (result i32) ;; 0, 1, 2: a number of one, two or four bytes
    (call $number (i32.shl (i32.const 1) (local.get $width))))

  (func $number (param $bytes i32) (result i32) (local $made i32) ;; the highest byte first
    (call $must (i32.le_u (local.get $bytes) (i32.sub (global.get $end) (global.get $at))))
    (loop $next
      (local.set $made (i32.or (i32.shl (local.get $made) (i32.const 8)) (i32.load8_u (global.get $at))))
      (global.set $at (i32.add (global.get $at) (i32.const 1)))
      (br_if $next (local.tee $bytes (i32.sub (local.get $bytes) (i32.const 1)))))
    (local.get $made))

  ;; The text that was just read must be UTF-8: another reader might see another text.
  (func $check_utf8 (local $at i32) (local $to i32) (local $first i32) (local $more i32) (local $code i32)
    (local.set $at (global.get $text))
    (local.set $to (i32.add (global.get $text) (global.get $size)))
    (block $whole (loop $next
      (br_if $whole (i32.ge_u (local.get $at) (local.get $to)))
      (local.set $first (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $first) (i32.const 0x80)))
      (call $must (i32.lt_u (i32.sub (local.get $first) (i32.const 0xc2)) (i32.const 0x33))) ;; c2 to f4
      (local.set $more (i32.add (i32.add (i32.const 1) (i32.ge_u (local.get $first) (i32.const 0xe0)))
        (i32.ge_u (local.get $first) (i32.const 0xf0))))
      (call $must (i32.le_u (local.get $more) (i32.sub (local.get $to) (local.get $at))))
      (local.set $code (i32.and (local.get $first) (i32.shr_u (i32.const 0x3f) (local.get $more))))
      (local.set $first (local.get $more))
      (loop $byte
        (call $must (i32.eq (i32.and (i32.load8_u (local.get $at)) (i32.const 0xc0)) (i32.const 0x80)))
        (local.set $code (i32.or (i32.shl (local.get $code) (i32.const 6))
          (i32.and (i32.load8_u (local.get $at)) (i32.const 0x3f))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $byte (local.tee $more (i32.sub (local.get $more) (i32.const 1)))))
      (if (i32.eq (local.get $first) (i32.const 2)) (then ;; neither too long a form nor half a pair
        (call $must (i32.and (i32.ge_u (local.get $code) (i32.const 0x800))
          (i32.ne (i32.and (local.get $code) (i32.const 0xf800)) (i32.const 0xd800))))))
      (if (i32.eq (local.get $first) (i32.const 3)) (then
        (call $must (i32.and (i32.ge_u (local.get $code) (i32.const 0x10000))
          (i32.lt_u (local.get $code) (i32.const 0x110000))))))
      (br $next))))

  ;; --- memory, which is never given back: every event gets a fresh instance ---

  (func $take (export "wasmguard_alloc") (param $size i32) (result i32) (local $made i32) (local $have i32)
    (local.set $made (global.get $free))
    (global.set $free (i32.add (local.get $made) (local.get $size)))
    (call $must (i32.ge_u (global.get $free) (local.get $made)))
    (local.set $have (i32.shl (memory.size) (i32.const 16)))
    (if (i32.gt_u (global.get $free) (local.get $have)) (then
      (call $must (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
        (i32.shr_u (i32.sub (global.get $free) (local.get $have)) (i32.const 16))))))))
    (local.get $made)))
