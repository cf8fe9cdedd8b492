/* The copy in `metadata create`, and nothing else: the bytes of a file at an offset of a new one, by the kernel.
 *
 *     place FILE OUT OFFSET
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(done) do { if ((done) < 0) { perror(#done); exit(1); } } while (0)

/* STEP_BYTES in src/image/payload.rs. */
static const size_t step_bytes = 16 << 20;

int main(int argc, char **argv)
{
    int file, out;
    ssize_t copied;

    if (argc != 4)
        return 2;
    CHECK(file = open(argv[1], O_RDONLY));
    CHECK(out = open(argv[2], O_WRONLY | O_CREAT | O_EXCL, 0600));
    CHECK(lseek(out, atoll(argv[3]), SEEK_SET));
    do
        CHECK(copied = copy_file_range(file, NULL, out, NULL, step_bytes, 0));
    while (copied > 0);
    return 0;
}
