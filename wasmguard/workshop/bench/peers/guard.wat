  ;; The small guard that every peer carries out: a Bash command with `rm -rf` in it and a Write or Edit in /etc are
  ;; denied, about everything else there is no opinion. It reads a request of ABI 1 (msgpack) and needs no import. Behind
  ;; one head it is a policy of ours (abi.wat), behind another it is asked by extism (extism.wat): the same work in both.
  (memory (export "memory") 1)

  ;; Words, each with a zero behind it.
  (data (i32.const 16) "event\00")
  (data (i32.const 32) "tool_name\00")
  (data (i32.const 48) "tool_input\00")
  (data (i32.const 64) "command\00")
  (data (i32.const 80) "file_path\00")
  (data (i32.const 96) "Bash\00")
  (data (i32.const 104) "Write\00")
  (data (i32.const 112) "Edit\00")
  (data (i32.const 128) "\80") ;; the answers: no opinion, 1 byte, and a deny, 46 bytes
  (data (i32.const 144) "\82\a6effect\a4deny\a6reason\b9not here: the small guard")

  (global $free (mut i32) (i32.const 256)) ;; nothing lives from here on
  (global $at (mut i32) (i32.const 0)) ;; the byte of the request that is read next
  (global $end (mut i32) (i32.const 0)) ;; the first byte behind the request
  (global $kind (mut i32) (i32.const 0)) ;; what `$head` has read: 2 a scalar, 4 text, 6 array, 7 map;
  (global $size (mut i32) (i32.const 0)) ;; its bytes, items or entries;
  (global $text (mut i32) (i32.const 0)) ;; and where a text begins
  (global $shell (mut i32) (i32.const 0)) ;; whether the tool is Bash
  (global $files (mut i32) (i32.const 0)) ;; whether it is Write or Edit
  (global $command (mut i32) (i32.const 0))
  (global $command_size (mut i32) (i32.const 0))
  (global $path (mut i32) (i32.const 0))
  (global $path_size (mut i32) (i32.const 0))

  ;; Whether the request in these bytes is denied.
  (func $denies (param $from i32) (param $size i32) (result i32)
    (global.set $at (local.get $from))
    (global.set $end (i32.add (local.get $from) (local.get $size)))
    (call $each (i32.const 0))
    (call $must (i32.eq (global.get $at) (global.get $end)))
    (i32.or
      (i32.and (global.get $shell) (call $destroys))
      (i32.and (global.get $files) (call $is_in_etc))))

  (func $destroys (result i32) (local $at i32) (local $last i32)
    (if (i32.lt_u (global.get $command_size) (i32.const 6)) (then (return (i32.const 0))))
    (local.set $at (global.get $command))
    (local.set $last (i32.sub (i32.add (local.get $at) (global.get $command_size)) (i32.const 6)))
    (loop $next
      (if (i32.and (i32.eq (i32.load (local.get $at)) (i32.const 0x2d206d72)) ;; "rm -"
            (i32.eq (i32.load16_u offset=4 (local.get $at)) (i32.const 0x6672))) ;; "rf"
        (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $at) (local.get $last))))
    (i32.const 0))

  (func $is_in_etc (result i32)
    (if (i32.lt_u (global.get $path_size) (i32.const 4)) (then (return (i32.const 0))))
    (if (i32.ne (i32.load (global.get $path)) (i32.const 0x6374652f)) (then (return (i32.const 0)))) ;; "/etc"
    (if (i32.eq (global.get $path_size) (i32.const 4)) (then (return (i32.const 1))))
    (i32.eq (i32.load8_u offset=4 (global.get $path)) (i32.const 0x2f)))

  ;; --- the request: a map (0), in it the event (1), in it the tool's input (2) ---

  (func $each (param $level i32) (local $left i32)
    (call $head)
    (call $must (i32.eq (global.get $kind) (i32.const 7)))
    (local.set $left (global.get $size))
    (block $whole (loop $next
      (br_if $whole (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $text_ahead)
      (call $entry (local.get $level))
      (br $next))))

  ;; The value of the key that was just read.
  (func $entry (param $level i32)
    (if (i32.and (i32.eqz (local.get $level)) (call $is (i32.const 16))) (then (return (call $each (i32.const 1)))))
    (if (i32.eq (local.get $level) (i32.const 1)) (then
      (if (call $is (i32.const 32)) (then
        (call $text_ahead)
        (global.set $shell (call $is (i32.const 96)))
        (return (global.set $files (i32.or (call $is (i32.const 104)) (call $is (i32.const 112)))))))
      (if (call $is (i32.const 48)) (then (return (call $each (i32.const 2)))))))
    (if (i32.eq (local.get $level) (i32.const 2)) (then
      (if (call $is (i32.const 64)) (then
        (call $text_ahead)
        (global.set $command (global.get $text))
        (return (global.set $command_size (global.get $size)))))
      (if (call $is (i32.const 80)) (then
        (call $text_ahead)
        (global.set $path (global.get $text))
        (return (global.set $path_size (global.get $size)))))))
    (call $skip (i32.const 0)))

  ;; --- msgpack ---

  (func $must (param $true i32)
    (if (i32.eqz (local.get $true)) (then (unreachable))))

  (func $text_ahead
    (call $head)
    (call $must (i32.eq (global.get $kind) (i32.const 4))))

  (func $skip (param $depth i32) (local $left i32)
    (call $must (i32.lt_u (local.get $depth) (i32.const 128)))
    (call $head)
    (if (i32.lt_u (global.get $kind) (i32.const 6)) (then (return)))
    (local.set $left (i32.shl (global.get $size) (i32.eq (global.get $kind) (i32.const 7))))
    (block $whole (loop $next
      (br_if $whole (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $skip (i32.add (local.get $depth) (i32.const 1)))
      (br $next))))

  ;; Whether the text that was just read is this word.
  (func $is (param $word i32) (result i32) (local $at i32) (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (i32.add (local.get $word) (local.get $at))))
      (if (i32.eq (local.get $at) (global.get $size)) (then (return (i32.eqz (local.get $byte)))))
      (if (i32.ne (local.get $byte) (i32.load8_u (i32.add (global.get $text) (local.get $at))))
        (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (local.get $byte)))
    (i32.const 0))

  ;; Read what a value begins with; of a text and a scalar all of it.
  (func $head (local $first i32)
    (call $must (i32.lt_u (global.get $at) (global.get $end)))
    (local.set $first (i32.load8_u (global.get $at)))
    (global.set $at (i32.add (global.get $at) (i32.const 1)))
    (global.set $size (i32.and (local.get $first) (i32.const 15)))
    (global.set $kind (i32.const 2))
    (if (i32.lt_u (local.get $first) (i32.const 0x80)) (then (return)))
    (if (i32.ge_u (local.get $first) (i32.const 0xe0)) (then (return)))
    (if (i32.lt_u (local.get $first) (i32.const 0x90)) (then (return (global.set $kind (i32.const 7)))))
    (if (i32.lt_u (local.get $first) (i32.const 0xa0)) (then (return (global.set $kind (i32.const 6)))))
    (if (i32.lt_u (local.get $first) (i32.const 0xc0)) (then
      (return (call $bytes (i32.const 4) (i32.and (local.get $first) (i32.const 31))))))
    (block $map (block $array (block $text (block $eight (block $four (block $two (block $one (block $binary
    (block $none (block $never
      (br_table $none $never $none $none $binary $binary $binary $never $never $never $four $eight ;; c0 to cb
        $one $two $four $eight $one $two $four $eight ;; cc to d3
        $never $never $never $never $never $text $text $text $array $array $map $map $never ;; d4 to df
        (i32.sub (local.get $first) (i32.const 0xc0))))
      (unreachable)) ;; c1, and the ext types, which requests have not
    (return))
    (return (call $bytes (i32.const 2) (call $wide (i32.sub (local.get $first) (i32.const 0xc4))))))
    (return (call $bytes (i32.const 2) (i32.const 1))))
    (return (call $bytes (i32.const 2) (i32.const 2))))
    (return (call $bytes (i32.const 2) (i32.const 4))))
    (return (call $bytes (i32.const 2) (i32.const 8))))
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

  (func $wide (param $width i32) (result i32) (local $left i32) (local $made i32) ;; 0, 1, 2: one, two or four bytes
    (local.set $left (i32.shl (i32.const 1) (local.get $width)))
    (call $must (i32.le_u (local.get $left) (i32.sub (global.get $end) (global.get $at))))
    (loop $next
      (local.set $made (i32.or (i32.shl (local.get $made) (i32.const 8)) (i32.load8_u (global.get $at))))
      (global.set $at (i32.add (global.get $at) (i32.const 1)))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.get $made))

  (func $take (param $size i32) (result i32) (local $made i32) (local $have i32)
    (local.set $made (global.get $free))
    (global.set $free (i32.add (local.get $made) (local.get $size)))
    (call $must (i32.ge_u (global.get $free) (local.get $made)))
    (local.set $have (i32.shl (memory.size) (i32.const 16)))
    (if (i32.gt_u (global.get $free) (local.get $have)) (then
      (call $must (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
        (i32.shr_u (i32.sub (global.get $free) (local.get $have)) (i32.const 16))))))))
    (local.get $made))
