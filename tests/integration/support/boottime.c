/* A clock that jumps as it does over a suspend: adds what the file in BOOTTIME_JUMP says, in seconds, to CLOCK_BOOTTIME.
 * Preloaded into redlock, which reads that clock and sets absolute timers on it.
 *
 * A child that shares its parent's memory reads the clock too, so nothing is allocated here after the start. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static const char *path;

__attribute__((constructor)) static void find(void) {
    real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    real_settime = (int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");
    path = getenv("BOOTTIME_JUMP");
}

static long jump(void) {
    char digits[32] = "";
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        if (read(file, digits, sizeof digits - 1) < 0) digits[0] = '\0';
        close(file);
    }
    return strtol(digits, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = real_gettime(clock, now);
    if (result == 0 && clock == CLOCK_BOOTTIME) now->tv_sec += jump();
    return result;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *before) {
    struct itimerspec moved = *at;
    if ((flags & TFD_TIMER_ABSTIME) && moved.it_value.tv_sec > 0) {
        moved.it_value.tv_sec -= jump();
        /* A moment that the jump has passed is over now, and not unset. */
        if (moved.it_value.tv_sec < 0) moved.it_value = (struct timespec){0, 1};
    }
    return real_settime(fd, flags, &moved, before);
}
