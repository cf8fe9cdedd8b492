/* The least that a program can do to make an image: write the bytes of the head, set the size, give it its name.
 *
 *     write MODEL OUT            one image like MODEL
 *     write MODEL DIR COUNT      as many in a directory, one after the other
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(done) do { if ((done) < 0) { perror(#done); exit(1); } } while (0)

static char head[1 << 20];

/* Bytes before the zeros at the end of a model, which an image has as a hole. */
static size_t head_bytes(size_t bytes)
{
    while (bytes > 0 && head[bytes - 1] == 0)
        bytes--;
    return (bytes + 2047) / 2048 * 2048;
}

static void make(const char *path, size_t bytes, off_t size)
{
    char temporary[4096];
    int file;

    snprintf(temporary, sizeof temporary, "%s.new", path);
    CHECK(file = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600));
    if (write(file, head, bytes) != (ssize_t) bytes)
        exit(1);
    CHECK(ftruncate(file, size));
    CHECK(close(file));
    CHECK(rename(temporary, path));
}

int main(int argc, char **argv)
{
    struct stat model;
    char path[4000];
    ssize_t bytes;
    int file;

    if (argc < 3)
        return 2;
    CHECK(file = open(argv[1], O_RDONLY));
    CHECK(fstat(file, &model));
    CHECK(bytes = read(file, head, sizeof head));
    bytes = head_bytes(bytes);
    if (argc == 3) {
        make(argv[2], bytes, model.st_size);
        return 0;
    }
    for (int number = 1; number <= atoi(argv[3]); number++) {
        snprintf(path, sizeof path, "%s/%05d.iso", argv[2], number);
        make(path, bytes, model.st_size);
    }
    return 0;
}
