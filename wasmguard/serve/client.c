// The native client of a hook: `wasmguard-client SOCKET PROGRAM ARGUMENTS...`, an event on stdin, its answer on stdout.
//
// It is `client.py` and `thin.py` in C: one small static file, which starts faster than /bin/true.
//
// 1. Only a whole answer counts, 3. whatever else goes wrong is a refusal, 5. closed descriptors: as there.
// 2. Whatever is wrong with the daemon, this process becomes PROGRAM, with the event as its standard input.
// 4. Its clock goes on, so that PROGRAM knows how much time is left and that the daemon was asked. The signals that
//    this process answers are blocked until PROGRAM can answer them.
// 6. There is no heap: two buffers of 128 KiB, and for more than that a mapping each of 64 MiB and a frame.
//
// Any C compiler for Linux or macOS will do: cc -DWASMGUARD_VERSION='"1.2.3"' -o wasmguard-client client.c. The one in
// the wheels (`hatch_build.py`) is freestanding on Linux, with `kernel.h` for a C library.
#define _GNU_SOURCE
#if __STDC_HOSTED__
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#else
#include "kernel.h"
#endif

#ifndef WASMGUARD_BUILD // what it was made from
#define WASMGUARD_BUILD "by hand"
#endif
#define VERSION "wasmguard-client " WASMGUARD_VERSION " (" WASMGUARD_BUILD ")\n"
#define REPAIR "reinstall wasmguard, or run `wasmguard uninstall claude-code`"
#define DENY                                                                                                           \
  "{\"hookSpecificOutput\":{\"hookEventName\":\"PreToolUse\",\"permissionDecision\":\"deny\","                         \
  "\"permissionDecisionReason\":\"wasmguard could not decide: " REPAIR "\"}}\n"
#define MAGIC "wg\x01"
#define EVENT "\x01"
#define SOCKET "SOCKET="
#define NAMED(name) "\"hook_event_name\":\"" name "\""

enum {
  SECONDS = 27,  // to an answer: hooks are installed with a timeout of 30
  REFUSAL = 2,   // to say no after that
  DAEMON = 4,    // for each step of asking the daemon
  QUESTION = 28, // bytes before the context: magic, kind, version, length of the payload, length of the context
  ANSWER = 12,   // bytes before the answer: magic, code, length of the answer, length of the complaint
  SMALL = 128 << 10,
  LARGEST_CONTEXT = 64 << 10,
  LARGEST = 64 << 20,
  FULL = QUESTION + LARGEST_CONTEXT + LARGEST + 1,
};

static const char *const context[] = {
    "HOME=",           "USER=",           "TMPDIR=",         "CLAUDE_CONFIG_DIR=", "CLAUDE_PROJECT_DIR=",
    "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=", "XDG_STATE_HOME=", "XDG_RUNTIME_DIR=",   0,
};
static const int ending[] = { // signals that end a process by default
    SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGIO,
#ifdef __linux__
    SIGPWR,  SIGSTKFLT,
#endif
    0,
};

struct bytes {
  char *at;
  size_t size, room;
};
static char small[2][SMALL];
static struct bytes question = {small[0], 0, SMALL}, answer = {small[1], 0, SMALL};
static size_t event; // where it begins in the question
static volatile sig_atomic_t refusing;

static int put(int fd, const char *data, size_t size) { // 0, or -1 if not all of it was written
  while (size) {
    ssize_t done = write(fd, data, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return -1;
    data += done;
    size -= (size_t)done;
  }
  return 0;
}

static void say(const char *text) { put(2, text, strlen(text)); }

static void mask(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (const int *number = ending; *number; number++) sigaddset(&set, *number);
  sigprocmask(how, &set, 0);
}

static int mentions(const char *word) { // whether it occurs in the event
  size_t size = strlen(word);
  for (size_t at = event; at + size <= question.size; at++)
    if (question.at[at] == *word && !memcmp(question.at + at, word, size)) return 1;
  return 0;
}

static _Noreturn void refuse(const char *what, const char *why) {
  refusing = 1;
  alarm(REFUSAL);
  mask(SIG_UNBLOCK); // the next signal ends this
  int stop = mentions(NAMED("Stop")) || mentions(NAMED("SubagentStop")) || mentions(NAMED("TaskCompleted"));
  stop = stop || mentions(NAMED("TeammateIdle"));
  if (stop && !mentions("\"tool_name\"")) { // a tool input could contain that text
    put(1, "{}\n", 3);
    _exit(0);
  }
  say("wasmguard: refused: "), say(what), say(why), say("\n");
  put(1, DENY, sizeof DENY - 1);
  _exit(2);
}

static void ended(int number) {
  if (refusing) _exit(2);
  refuse("", number == SIGALRM ? "no answer in time" : "ended by a signal");
}

// Reads until *wanted* bytes are there or nothing follows. 0, or -1 if that failed.
static int fill(struct bytes *into, size_t wanted, int fd) {
  while (into->size < wanted) {
    if (into->size == into->room) {
      if (into->room == FULL) return -1;
      char *more = mmap(0, FULL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
      if (more == MAP_FAILED) return -1;
      memcpy(more, into->at, into->size);
      into->at = more;
      into->room = FULL;
    }
    size_t end = wanted < into->room ? wanted : into->room;
    ssize_t got = read(fd, into->at + into->size, end - into->size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (!got) break;
    into->size += (size_t)got;
  }
  return 0;
}

static void put_length(size_t at, size_t value) { // big-endian
  for (size_t i = 4; i--; value >>= 8) question.at[at + i] = (char)value;
}

static size_t length(size_t at) {
  size_t value = 0;
  for (size_t i = 0; i < 4; i++) value = value << 8 | (unsigned char)answer.at[at + i];
  return value;
}

// The question up to the event. 0, or -1 if the context is too large: then there will be no question.
static int begin(char **variables, const char *path) {
  _Static_assert(sizeof MAGIC EVENT WASMGUARD_VERSION - 1 <= QUESTION - 8, "a version has at most 16 bytes");
  memcpy(question.at, MAGIC EVENT WASMGUARD_VERSION, sizeof MAGIC EVENT WASMGUARD_VERSION - 1);
  size_t at = QUESTION;
  for (const char *const *name = context; *name; name++)
    for (char **variable = variables; *variable; variable++) {
      size_t size = strlen(*variable) + 1;
      if (strncmp(*variable, *name, strlen(*name)) || size == strlen(*name) + 1) continue;
      if (at + size > QUESTION + LARGEST_CONTEXT) return -1;
      memcpy(question.at + at, *variable, size);
      at += size;
      break;
    }
  size_t size = strlen(path) + 1;
  if (at + strlen(SOCKET) + size > QUESTION + LARGEST_CONTEXT) return -1;
  memcpy(question.at + at, SOCKET, strlen(SOCKET));
  memcpy(question.at + at + strlen(SOCKET), path, size);
  at += strlen(SOCKET) + size;
  put_length(QUESTION - 4, at - QUESTION);
  event = question.size = at;
  return 0;
}

static int ours(int channel) { // whether the same user is on the other side, as the kernel knows it
#ifdef __linux__
  struct ucred peer;
  socklen_t size = sizeof peer;
  return !getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == geteuid();
#else
  uid_t user;
  gid_t group;
  return !getpeereid(channel, &user, &group) && user == geteuid();
#endif
}

static int connected(const char *path) { // a channel to our daemon, or -1
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct timeval patience = {.tv_sec = DAEMON};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  memcpy(address.sun_path, path, strlen(path));
  int channel = socket(AF_UNIX, SOCK_STREAM, 0), done;
  if (channel < 0) return -1;
  setsockopt(channel, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); // for connecting too
  setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  do done = connect(channel, (struct sockaddr *)&address, sizeof address);
  while (done < 0 && errno == EINTR);
  if (!done && ours(channel)) return channel;
  close(channel);
  return -1;
}

// The code of the daemon's answer, or -1 if that is nothing to go by.
static int ask(int channel) {
  if (channel < 0) return -1;
  put_length(QUESTION - 8, question.size - (QUESTION - 4));
  if (put(channel, question.at, question.size)) return -1;
  if (fill(&answer, ANSWER, channel) || answer.size < ANSWER) return -1;
  size_t first = length(4), second = length(8), whole = ANSWER + first + second; // on 32 bits the sum may wrap around
  if (first > LARGEST || second > LARGEST_CONTEXT || fill(&answer, whole, channel) || answer.size < whole) return -1;
  const char *code = answer.at + 3, *end = answer.at + ANSWER + first;
  int json = first > 2 && answer.at[ANSWER] == '{' && end[-2] == '}' && end[-1] == '\n';
  return json && !memcmp(answer.at, MAGIC, 3) && (*code == 0 || *code == 2) ? *code : -1;
}

static int kept(void) { // a descriptor to read the event from, or -1
#ifdef __linux__
  int fd = memfd_create("event", 0);
#else
  FILE *file = tmpfile(); // for this user alone, and without a name
  int fd = file ? fileno(file) : -1;
#endif
  return fd < 0 || put(fd, question.at + event, question.size - event) || lseek(fd, 0, SEEK_SET) ? -1 : fd;
}

static _Noreturn void become(char **command, char **variables) {
  mask(SIG_BLOCK);
  execve(*command, command, variables);
  refuse(*command, " does not start, and there is no daemon: " REPAIR);
}

int main(int count, char **arguments) {
  extern char **environ;
  if (count == 2 && !strcmp(arguments[1], "--version")) return put(1, VERSION, sizeof VERSION - 1) ? 1 : 0;
  for (const int *number = ending; *number; number++) signal(*number, ended);
  signal(SIGPIPE, SIG_IGN); // what cannot be written is an error, not an end
  signal(SIGXFSZ, SIG_IGN);
  alarm(SECONDS);
  mask(SIG_UNBLOCK); // whoever started us may have blocked them
  if (count < 3) refuse("", "usage: wasmguard-client SOCKET PROGRAM ARGUMENTS");
  for (int fd = 0; fd < 3; fd++)
    if (lseek(fd, 0, SEEK_CUR) < 0 && errno == EBADF) become(arguments + 2, environ); // rule 5

  int too_much = begin(environ, arguments[1]);
  if (fill(&question, event + LARGEST + 1, 0)) refuse("", "the event cannot be read from standard input");
  too_much = too_much || question.size > event + LARGEST;
  int channel = too_much ? -1 : connected(arguments[1]), code = ask(channel);
  if (code < 0) {
    int event_file = kept();
    if (event_file < 0 || dup2(event_file, 0) < 0) refuse("", "no daemon, and no room to keep the event");
    if (channel >= 0) close(channel);
    close(event_file);
    become(arguments + 2, environ);
  }
  size_t first = length(4);
  if (put(1, answer.at + ANSWER, first)) refuse("", "its answer cannot be written to standard output: give it a pipe");
  put(2, answer.at + ANSWER + first, length(8));
  return code;
}
