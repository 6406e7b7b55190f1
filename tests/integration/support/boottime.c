/* A clock that jumps as it does over a suspend: adds what the file in BOOTTIME_JUMP says, in seconds, to CLOCK_BOOTTIME.
 * Preloaded into redlock, which reads that clock and sets absolute timers on it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>

static long jump(void) {
    const char *path = getenv("BOOTTIME_JUMP");
    FILE *file = path ? fopen(path, "re") : NULL;
    long seconds = 0;
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_BOOTTIME) now->tv_sec += jump();
    return result;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *before) {
    int (*real)(int, int, const struct itimerspec *, struct itimerspec *) =
        (int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");
    struct itimerspec moved = *at;
    if ((flags & TFD_TIMER_ABSTIME) && moved.it_value.tv_sec > 0) {
        moved.it_value.tv_sec -= jump();
        /* A moment that the jump has passed is over now, and not unset. */
        if (moved.it_value.tv_sec < 0) moved.it_value = (struct timespec){0, 1};
    }
    return real(fd, flags, &moved, before);
}
