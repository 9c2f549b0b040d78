// What client.c needs of a C library, straight to the Linux kernel (x86-64 and 64-bit ARM).
//
// A C library is 44 seconds of compiling when it must be built first, and does at each start what nobody needs here.
// Types and numbers come from the C library's headers; each function does what its manual page says, as far as client.c
// uses it. Signal handlers must not return.
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **arguments);

char **environ;
static int error;
int *__errno_location(void) { return &error; } // `errno`

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call started\n");
static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long fourth __asm__("r10") = d, fifth __asm__("r8") = e, sixth __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "+a"(number)
                   : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "rcx", "r11", "memory");
  return number;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n and sp, x0, #-16\n b started\n");
static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long which __asm__("x8") = number, first __asm__("x0") = a, second __asm__("x1") = b;
  register long third __asm__("x2") = c, fourth __asm__("x3") = d, fifth __asm__("x4") = e, sixth __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(first)
                   : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "memory");
  return first;
}
#else
#error "build it with a C library: without -ffreestanding"
#endif

static long checked(long result) { // the kernel says what is wrong as a small negative number
  if ((unsigned long)result <= -4096UL) return result;
  error = (int)-result;
  return -1;
}

#define CALL(name, a, b, c, d, e, f)                                                                                   \
  checked(call(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

_Noreturn void _exit(int code) {
  for (;;) CALL(exit_group, code, 0, 0, 0, 0, 0);
}
ssize_t read(int fd, void *into, size_t size) { return CALL(read, fd, into, size, 0, 0, 0); }
ssize_t write(int fd, const void *data, size_t size) { return CALL(write, fd, data, size, 0, 0, 0); }
int close(int fd) { return (int)CALL(close, fd, 0, 0, 0, 0, 0); }
off_t lseek(int fd, off_t offset, int whence) { return CALL(lseek, fd, offset, whence, 0, 0, 0); }
int dup2(int from, int to) { return from == to ? to : (int)CALL(dup3, from, to, 0, 0, 0, 0); }
int memfd_create(const char *name, unsigned flags) { return (int)CALL(memfd_create, name, flags, 0, 0, 0, 0); }
int execve(const char *path, char *const arguments[], char *const environment[]) {
  return (int)CALL(execve, path, arguments, environment, 0, 0, 0);
}
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
  return (void *)CALL(mmap, at, size, protection, flags, fd, offset);
}
uid_t geteuid(void) { return (uid_t)CALL(geteuid, 0, 0, 0, 0, 0, 0); }

int socket(int domain, int type, int protocol) { return (int)CALL(socket, domain, type, protocol, 0, 0, 0); }
int connect(int fd, const struct sockaddr *to, socklen_t size) { return (int)CALL(connect, fd, to, size, 0, 0, 0); }
int setsockopt(int fd, int level, int option, const void *value, socklen_t size) {
  return (int)CALL(setsockopt, fd, level, option, value, size, 0);
}
int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict size) {
  return (int)CALL(getsockopt, fd, level, option, value, size, 0);
}

unsigned alarm(unsigned seconds) {
  struct itimerval value = {.it_value = {.tv_sec = (time_t)seconds}};
  return (unsigned)CALL(setitimer, ITIMER_REAL, &value, 0, 0, 0, 0);
}
int sigemptyset(sigset_t *set) { return *(unsigned long *)set = 0, 0; }
int sigaddset(sigset_t *set, int number) { return *(unsigned long *)set |= 1UL << (number - 1), 0; }
int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old) {
  return (int)CALL(rt_sigprocmask, how, set, old, 8, 0, 0);
}
void (*signal(int number, void (*handler)(int)))(int) {
  struct { // the kernel's `struct sigaction`, which is not the C library's
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(int); // where a handler returns to; x86-64 insists on one
    unsigned long mask;
  } action = {handler, 0x04000000 /* SA_RESTORER */, handler, 0};
  return CALL(rt_sigaction, number, &action, 0, 8, 0, 0) ? SIG_ERR : SIG_DFL;
}

// The compiler, too, writes calls of these three.
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  for (size_t i = 0; i < size; i++) ((char *)to)[i] = ((const char *)from)[i];
  return to;
}
void *memset(void *at, int value, size_t size) {
  for (size_t i = 0; i < size; i++) ((char *)at)[i] = (char)value;
  return at;
}
int memcmp(const void *one, const void *other, size_t size) {
  const unsigned char *a = one, *b = other;
  for (; size; a++, b++, size--)
    if (*a != *b) return *a - *b;
  return 0;
}
size_t strlen(const char *text) {
  size_t size = 0;
  while (text[size]) size++;
  return size;
}
int strcmp(const char *one, const char *other) {
  while (*one && *one == *other) one++, other++;
  return (unsigned char)*one - (unsigned char)*other;
}
int strncmp(const char *one, const char *other, size_t size) {
  for (; size; one++, other++, size--)
    if (*one != *other || !*one) return (unsigned char)*one - (unsigned char)*other;
  return 0;
}

_Noreturn void started(long *stack) {
  environ = (char **)(stack + 1) + *stack + 1;
  _exit(main((int)*stack, (char **)(stack + 1)));
}
