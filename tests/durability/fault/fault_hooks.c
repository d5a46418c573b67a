/* fault_hooks.c: a client library's calls of the system, sent through the wrappers.
 *
 * A library calls what it imports through slots that the dynamic loader fills in: after that, the
 * slots of the functions in the list are filled in anew. This is ELF as the loader sees it, and the
 * same on every machine: a relocation names a symbol and a slot.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dl_iterate_phdr */
#endif
#include "faults.h"

#include "wrappers.h"

#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct tables {
    const char *base;
    const ElfW(Sym) * symbols;
    const char *strings;
    const ElfW(Rela) * relocations[2]; /* of data, and of calls */
    size_t sizes[2];
};

struct search {
    const char *library;
    unsigned hooked;
};

static void fill(const struct tables *tables, const ElfW(Rela) * relocation, unsigned *hooked)
{
    const ElfW(Sym) *symbol = &tables->symbols[ELF64_R_SYM(relocation->r_info)];
    const char *name = tables->strings + symbol->st_name;
    if (symbol->st_shndx != SHN_UNDEF || relocation->r_addend != 0)
        return;
    for (const struct wrapper *wrapper = wrappers; wrapper->name != NULL; wrapper++) {
        if (strcmp(wrapper->name, name) != 0)
            continue;
        char *slot = (char *)(uintptr_t)tables->base + relocation->r_offset;
        size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
        char *page = slot - (uintptr_t)slot % page_size;
        if (mprotect(page, page_size, PROT_READ | PROT_WRITE) != 0)
            return; /* the caller misses it in the count */
        memcpy(slot, &wrapper->function, sizeof wrapper->function);
        ++*hooked;
    }
}

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct search *search = arg;
    struct tables tables = {.base = (const char *)info->dlpi_addr};
    if (strstr(info->dlpi_name, search->library) == NULL)
        return 0;
    const ElfW(Dyn) *entry = NULL;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            entry = (const ElfW(Dyn) *)(const void *)(tables.base + info->dlpi_phdr[i].p_vaddr);
    }
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        const void *address = (const void *)entry->d_un.d_ptr; /* the loader has made it absolute */
        switch (entry->d_tag) {
        case DT_SYMTAB:
            tables.symbols = address;
            break;
        case DT_STRTAB:
            tables.strings = address;
            break;
        case DT_RELA:
            tables.relocations[0] = address;
            break;
        case DT_RELASZ:
            tables.sizes[0] = entry->d_un.d_val / sizeof(ElfW(Rela));
            break;
        case DT_JMPREL:
            tables.relocations[1] = address;
            break;
        case DT_PLTRELSZ:
            tables.sizes[1] = entry->d_un.d_val / sizeof(ElfW(Rela));
            break;
        default:
            break;
        }
    }
    for (int kind = 0; kind < 2 && tables.symbols != NULL; kind++) {
        for (size_t i = 0; i < tables.sizes[kind]; i++)
            fill(&tables, &tables.relocations[kind][i], &search->hooked);
    }
    return 0;
}

bool faults_hook(const char *library)
{
    struct search search = {library, 0};
    dl_iterate_phdr(look_at, &search);
    return search.hooked > 0;
}
