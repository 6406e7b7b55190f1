/* Runs a command again and again: again SECONDS COMMAND [ARG…]. It begins none when the time is over, and leaves with 1 as
 * soon as one fails. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: again SECONDS COMMAND [ARG...]\n", stderr);
        return 64;
    }
    for (double end = now() + strtod(argv[1], NULL); now() < end;) {
        pid_t pid;
        int status, error = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
        if (error) {
            fprintf(stderr, "again: cannot run '%s': %s\n", argv[2], strerror(error));
            return 127;
        }
        while (waitpid(pid, &status, 0) < 0) {
            if (errno != EINTR) {
                return 125;
            }
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            return 1;
        }
    }
    return 0;
}
