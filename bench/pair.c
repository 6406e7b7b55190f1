/* Runs several commands alternately and compares them: pair ROUNDS / [NAME=VALUE…] COMMAND [ARG…] / …
 *
 * Every round runs each command once, one after the other, and begins with another one each time, so that whatever else
 * the machine is doing falls on all of them alike. A tenth of the rounds, at first, is not counted. One line for each
 * command, in microseconds: the median of its time and the quartiles; the median of what it took more than the first
 * command in the same round; then the medians of its processor time, its page faults and its context switches, those of
 * its children included. A command that fails ends the comparison. */
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { MOST = 64 };

extern char **environ;

/* What is known of one run. */
enum measure { TOOK, ADDED, CPU, FAULTS, SWITCHES, MEASURES };

struct run {
    double measured[MEASURES];
};

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static double micros(struct timeval length) {
    return (double)length.tv_sec * 1e6 + (double)length.tv_usec;
}

/* Runs `argv`, whose first words may set variables for it alone, as in a shell. */
static struct run run(char **argv) {
    pid_t pid;
    int status;
    struct rusage usage;
    char **variables = argv;
    for (; argv[0] && strchr(argv[0], '='); argv++) {
        putenv(argv[0]);
    }
    double begun = now();
    int error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (error) {
        fprintf(stderr, "pair: cannot run '%s': %s\n", argv[0], strerror(error));
        exit(127);
    }
    while (wait4(pid, &status, 0, &usage) < 0) {
        if (errno != EINTR) {
            perror("pair: wait4");
            exit(125);
        }
    }
    double took = now() - begun;
    for (; variables < argv; variables++) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*variables, "="), *variables);
        unsetenv(name);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "pair: '%s' failed (wait status %#x)\n", argv[0], (unsigned)status);
        exit(1);
    }
    return (struct run){.measured = {
                            [TOOK] = took,
                            [CPU] = micros(usage.ru_utime) + micros(usage.ru_stime),
                            [FAULTS] = (double)usage.ru_minflt,
                            [SWITCHES] = (double)(usage.ru_nvcsw + usage.ru_nivcsw),
                        }};
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value of `measure` that `percent` of the runs of command `which` do not exceed; `values` is room for them. */
static double percentile(const struct run *runs, size_t count, size_t which, size_t rounds, enum measure measure,
                         size_t percent, double *values) {
    for (size_t i = 0; i < rounds; i++) {
        values[i] = runs[i * count + which].measured[measure];
    }
    qsort(values, rounds, sizeof *values, ascending);
    return values[(rounds - 1) * percent / 100];
}

int main(int argc, char **argv) {
    char **commands[MOST];
    size_t count = 0, rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "/") == 0) {
            argv[i] = NULL;
            if (count == MOST || i + 1 == argc) {
                fprintf(stderr, "pair: a command is missing, or there are more than %d\n", MOST);
                return 64;
            }
            commands[count++] = &argv[i + 1];
        }
    }
    if (rounds == 0 || count == 0) {
        fputs("usage: pair ROUNDS / COMMAND [ARG...] / COMMAND [ARG...] ...\n", stderr);
        return 64;
    }
    size_t warm = rounds / 10 + 1;
    struct run *runs = calloc(rounds * count, sizeof *runs);
    double *values = calloc(rounds, sizeof *values);
    if (!runs || !values) {
        perror("pair");
        return 125;
    }
    for (size_t round = 0; round < warm + rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            size_t which = (round + i) % count;
            struct run done = run(commands[which]);
            if (round >= warm) {
                runs[(round - warm) * count + which] = done;
            }
        }
    }
    for (size_t i = 0; i < rounds * count; i++) {
        runs[i].measured[ADDED] = runs[i].measured[TOOK] - runs[i - i % count].measured[TOOK];
    }
    puts("median\tquarter\tthree_quarters\tadded\tcpu\tfaults\tswitches");
    for (size_t which = 0; which < count; which++) {
        double quarter = percentile(runs, count, which, rounds, TOOK, 25, values);
        double three_quarters = percentile(runs, count, which, rounds, TOOK, 75, values);
        printf("%.0f\t%.0f\t%.0f", percentile(runs, count, which, rounds, TOOK, 50, values), quarter, three_quarters);
        for (enum measure measure = ADDED; measure < MEASURES; measure++) {
            printf("\t%.0f", percentile(runs, count, which, rounds, measure, 50, values));
        }
        putchar('\n');
    }
    free(values);
    free(runs);
    return 0;
}
