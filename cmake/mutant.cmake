# Injected bugs: a mutant is a copy of a source, in the build tree, in which one piece of text is
# replaced by another. What is compiled from it must be found by a test. The text must be in the source
# exactly once, or configuring fails: so no change of a source can make a mutant vanish unseen.

# batch_mutant(<variable> <name> <source> <text> <instead>): sets <variable> to the path of the mutant.
# <source> is relative to the project. Its folder has to be among the include folders of the target.
function(batch_mutant ret_path name source text instead)
    batch_mutant_read(copy "${source}")
    batch_mutant_replace(copy "${source}" "${text}" "${instead}")
    batch_mutant_write(path "${name}" "${source}" "${copy}")
    set(${ret_path} "${path}" PARENT_SCOPE)
endfunction()

# The same in three steps, for several replacements in one copy: <variable> holds its text.
function(batch_mutant_read variable source)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${batch_SOURCE_DIR}/${source}")
    file(READ "${batch_SOURCE_DIR}/${source}" copy)
    set(${variable} "${copy}" PARENT_SCOPE)
endfunction()

function(batch_mutant_replace variable source mutant_text mutant_instead)
    string(FIND "${${variable}}" "${mutant_text}" first)
    string(FIND "${${variable}}" "${mutant_text}" last REVERSE)
    if(first EQUAL -1 OR NOT first EQUAL last)
        message(FATAL_ERROR "mutant: not exactly once in ${source}: ${mutant_text}")
    endif()
    string(REPLACE "${mutant_text}" "${mutant_instead}" replaced "${${variable}}")
    set(${variable} "${replaced}" PARENT_SCOPE)
endfunction()

function(batch_mutant_write ret_path name source copy)
    get_filename_component(file "${source}" NAME)
    set(path "${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}/${file}")
    set(before)
    if(EXISTS "${path}")
        file(READ "${path}" before)
    endif()
    if(NOT copy STREQUAL before) # what has not changed is not compiled again
        file(WRITE "${path}" "${copy}")
    endif()
    set(${ret_path} "${path}" PARENT_SCOPE)
endfunction()
