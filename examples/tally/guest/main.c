// Counts the words of the files it is given and prints those that occur most, with how often.
//
// It is an ordinary C program: files, memory and printf are the C library's, over WASI 0.1.

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 10, LONGEST_WORD = 63, BUCKETS = 4096 };

struct word {
    struct word *next;
    unsigned long count;
    char text[LONGEST_WORD + 1];
};

static struct word *buckets[BUCKETS];
static unsigned long distinct, total;

static unsigned long hash(const char *text) {
    unsigned long sum = 5381;
    while (*text) sum = sum * 33 ^ (unsigned char)*text++;
    return sum % BUCKETS;
}

static int count(const char *text) {
    struct word **place = &buckets[hash(text)];
    total++;
    for (struct word *word = *place; word; word = word->next) {
        if (!strcmp(word->text, text)) {
            word->count++;
            return 0;
        }
    }
    struct word *word = calloc(1, sizeof *word);
    if (!word) return -1;
    strcpy(word->text, text);
    word->count = 1;
    word->next = *place;
    *place = word;
    distinct++;
    return 0;
}

// A word is a run of letters; what is longer than the longest is cut.
static int read_words(FILE *file) {
    char text[LONGEST_WORD + 1];
    size_t length = 0;
    int c;
    do {
        c = getc(file);
        if (c != EOF && isalpha(c)) {
            if (length < LONGEST_WORD) text[length++] = (char)tolower(c);
        } else if (length) {
            text[length] = '\0';
            length = 0;
            if (count(text)) return -1;
        }
    } while (c != EOF);
    return ferror(file) ? -1 : 0;
}

// The most frequent first; of equals, the first in the alphabet.
static int order(const void *left, const void *right) {
    const struct word *a = *(struct word *const *)left, *b = *(struct word *const *)right;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return strcmp(a->text, b->text);
}

static int print_most(void) {
    struct word **all = malloc(distinct * sizeof *all);
    if (!all && distinct) return -1;
    unsigned long found = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++)
        for (struct word *word = buckets[bucket]; word; word = word->next) all[found++] = word;
    if (found) qsort(all, found, sizeof *all, order);
    printf("%lu words, %lu different\n", total, distinct);
    for (unsigned long place = 0; place < found && place < SHOWN; place++)
        printf("%6lu %s\n", all[place]->count, all[place]->text);
    free(all);
    return fflush(stdout) ? -1 : 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: tally FILE...\n");
        return 2;
    }
    for (int index = 1; index < argc; index++) {
        FILE *file = fopen(argv[index], "r");
        if (!file || read_words(file)) {
            perror(argv[index]);
            return 1;
        }
        fclose(file);
    }
    return print_most() ? 1 : 0;
}
