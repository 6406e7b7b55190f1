/* Says when a command ran: stamp FILE LABEL MS, or stamp FILE LABEL PIPE to run until no process has the named pipe open
 * for writing any more.
 *
 * Appends `LABEL begin NANOSECONDS` and `LABEL end NANOSECONDS` to FILE, by the clock that all processes of a machine
 * share; a line is one write, so that the lines of many do not mix. Linked statically, it starts in the least of time. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void stamp(int file, const char *label, const char *what) {
    struct timespec at;
    char line[128];
    clock_gettime(CLOCK_MONOTONIC, &at);
    long long nanos = (long long)at.tv_sec * 1000000000 + at.tv_nsec;
    int length = snprintf(line, sizeof line, "%s %s %lld\n", label, what, nanos);
    if (length >= (int)sizeof line || write(file, line, (size_t)length) != length) {
        perror("stamp");
        _exit(125);
    }
}

int main(int argc, char **argv) {
    int file = argc == 4 ? open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (file < 0) {
        fputs("usage: stamp FILE LABEL MS|PIPE\n", stderr);
        return 64;
    }
    stamp(file, argv[2], "begin");
    if (argv[3][0] == '/') {
        int pipe = open(argv[3], O_RDONLY | O_CLOEXEC);
        char byte;
        while (pipe >= 0 && read(pipe, &byte, 1) > 0) {
        }
    } else {
        long ms = strtol(argv[3], NULL, 10);
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
    }
    stamp(file, argv[2], "end");
    return 0;
}
