/* Keeps, beside a directory, what of it would survive a power cut: loaded before the desk by LD_PRELOAD.
 *
 * A file's content survives as it was at its last fsync or fdatasync, under its inode number; a name survives as it was at the last fsync
 * of the directory. POWERCUT_OF names the directory, POWERCUT_TO where what survives is kept. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void keep_content(int fd, ino_t inode, const char *to) {
    char draft[4096], kept[4096], self[64], page[65536];
    snprintf(draft, sizeof draft, "%s/%lu.draft", to, (unsigned long)inode);
    snprintf(kept, sizeof kept, "%s/%lu", to, (unsigned long)inode);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int in = open(self, O_RDONLY | O_CLOEXEC), out = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (ssize_t got; in >= 0 && out >= 0 && (got = read(in, page, sizeof page)) > 0;)
        if (write(out, page, (size_t)got) != got) abort();
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    rename(draft, kept);
}

static void keep_names(const char *of, const char *to) {
    char draft[4096], kept[4096];
    snprintf(draft, sizeof draft, "%s/names.draft", to);
    snprintf(kept, sizeof kept, "%s/names", to);
    FILE *out = fopen(draft, "w");
    DIR *directory = opendir(of);
    for (struct dirent *entry; out && directory && (entry = readdir(directory));)
        if (entry->d_type == DT_REG) fprintf(out, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
    if (directory) closedir(directory);
    if (out) fclose(out);
    rename(draft, kept);
}

static void synced(int fd) {
    const char *of = getenv("POWERCUT_OF"), *to = getenv("POWERCUT_TO");
    char self[64], path[4096];
    struct stat status;
    if (!of || !to || fstat(fd, &status)) return;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(self, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    if (strncmp(path, of, strlen(of))) return;
    pthread_mutex_lock(&one_at_a_time);
    if (S_ISDIR(status.st_mode) && !strcmp(path, of)) keep_names(of, to);
    else if (S_ISREG(status.st_mode)) keep_content(fd, status.st_ino, to);
    pthread_mutex_unlock(&one_at_a_time);
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    if (!result) synced(fd);
    return result;
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    if (!result) synced(fd);
    return result;
}
