/* SPDX-License-Identifier: Apache-2.0 */

/* Feeds every file under the directories of argv to a fuzz target, so that `make test` replays what fuzzing ever found
 * without needing the fuzzer. The count on the last line is what tests/run-tests.sh adds up; no file at all is a
 * failure, because it tests nothing. */

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DEPTH_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* nftw() has no argument for the callback */
static size_t n_files;

static int replay(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) ftw;
        if (type != FTW_F)
                return 0;

        /* exactly the file's size on the heap, so that ASan sees a read one byte past the input */
        size_t size = (size_t) st->st_size;
        uint8_t *data = malloc(size > 0 ? size : 1);
        FILE *f = fopen(path, "rbe");
        int r = -1;
        if (data && f && fread(data, 1, size, f) == size) {
                /* the target aborts without knowing the file: the name has to be out before */
                (void) fprintf(stderr, "# %s\n", path);
                (void) LLVMFuzzerTestOneInput(data, size);
                n_files++;
                r = 0;
        } else
                perror(path);

        if (f)
                (void) fclose(f);
        free(data);
        return r;
}

int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++)
                if (nftw(argv[i], replay, DEPTH_MAX, FTW_PHYS) != 0) {
                        perror(argv[i]);
                        return EXIT_FAILURE;
                }
        printf("%zu inputs replayed\n", n_files);
        return n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
