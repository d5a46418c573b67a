"""mutants.py: the small changes that can be made to a C file, found in its text.

A mutant is a piece of a function replaced by another. Comments, texts, preprocessor lines and the
checks of the core (batch__check) are left alone: a check that is wrong shows itself, or nothing.
Relies on the layout that clang-format gives: the braces of a function stand alone at the margin.
"""
import re

RELATIONS = {'<': ('<=', '>='), '<=': ('<', '>'), '>': ('>=', '<'), '>=': ('>', '<'),
             '==': ('!=',), '!=': ('==',)}
OTHERS = {'&&': ('||',), '||': ('&&',), '+': ('-',), '-': ('+',), '*': ('/',), '/': ('*',),
          '%': ('/',), '&': ('|',), '+=': ('-=',), '-=': ('+=',), '*=': ('+=',), '++': ('--',),
          '--': ('++',)}
KEYWORDS = ('return|break|case|default|if|for|while|switch|goto|else|do|struct|const|static|enum|'
            'bool|int|char|void|size_t|u?int[0-9]+_t|unsigned|long|batch__check|batch__panic')
STATEMENT = re.compile(rf'(?<=\n)[ \t]*(?!(?:{KEYWORDS})\b)(?!batch_op \*)([A-Za-z_*(][^;{{}}]*'
                       r'(?:\{[^;{}]*\}[^;{}]*)?;)')


class Mutant:
    def __init__(self, file, function, line, start, end, new, text):
        self.file, self.function, self.line = file, function, line
        self.start, self.end, self.new = start, end, new
        self.text = text
        self.name = ''


def masked(source):
    """The same text, with blanks in place of all that is not code, so that positions stay."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group())
    code = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, source,
                  flags=re.S)
    code = re.sub(r'^[ \t]*#.*$', blank, code, flags=re.M)
    return re.sub(r'\b(?:batch__check|batch__panic|_Static_assert|__builtin_prefetch|'
                  r'batch__\w+_(?:prefetch|touch)\w*)\(.*?\);', blank, code, flags=re.S)


def functions(code):
    """Name, begin and end of the body of each function."""
    for match in re.finditer(r'^([A-Za-z_][^;{}]*)\n\{\n(.*?)^\}$', code, flags=re.S | re.M):
        name = re.search(r'(\w+)\(', match.group(1))
        if name:
            yield name.group(1), match.group(1), match.start(2), match.end(2)


def closing(code, position):
    """Where the parenthesis that opens at `position` closes."""
    depth = 0
    for i in range(position, len(code)):
        depth += {'(': 1, ')': -1}.get(code[i], 0)
        if depth == 0:
            return i
    raise ValueError('a parenthesis is never closed')


def arm_end(code, position):
    """Where the second arm of a conditional expression ends."""
    depth = 0
    for i in range(position, len(code)):
        if code[i] in '([{':
            depth += 1
        elif code[i] in ')]}':
            depth -= 1
        if depth < 0 or depth == 0 and code[i] in ';,':
            return i
    raise ValueError('an expression never ends')


def in_operators(code, begin, end):
    for match in re.finditer(r'(?<=[\w)\]] )(<=|>=|==|!=|&&|\|\||\+=|-=|\*=|<|>|\+|-|\*|/|%|&)'
                             r'(?=\s)|\+\+|--', code[begin:end]):
        before = match.group()
        for after in RELATIONS.get(before, OTHERS.get(before, ())):
            yield begin + match.start(), begin + match.end(), after, f'{before} to {after}'
    for match in re.finditer(r'!(?=[\w(])', code[begin:end]):
        yield begin + match.start(), begin + match.end(), '', '! left out'


def in_constants(code, begin, end):
    others = {'true': 'false', 'false': 'true', 'UINT64_MAX': '0', 'UINT32_MAX': '0', '0': '1',
              '1': '0'}
    for match in re.finditer(r'\b(true|false|UINT64_MAX|UINT32_MAX|[0-9]+)\b', code[begin:end]):
        before = match.group()
        after = others.get(before, str(int(before) + 1) if before.isdigit() else None)
        yield begin + match.start(), begin + match.end(), after, f'{before} to {after}'


def in_statements(code, begin, end):
    for match in STATEMENT.finditer(code, begin - 1, end):
        yield match.start(1), match.end(1), ';', 'deleted'
    for match in re.finditer(r'(?<=\n)[ \t]+(continue;)', code[begin:end]):
        yield begin + match.start(1), begin + match.end(1), ';', 'deleted'


def in_conditions(code, begin, end):
    for match in re.finditer(r'\b(?:if|while) (?=\()', code[begin:end]):
        first = begin + match.end()
        last = closing(code, first)
        yield first, last, '(!' + code[first:last] + ')', 'condition turned round'
    for match in re.finditer(r'\s\? ', code[begin:end]):
        first = begin + match.end()
        colon = re.compile(r'\s: ').search(code, first, end)
        last = arm_end(code, colon.end())
        new = code[colon.end():last] + ' : ' + code[first:colon.start()]
        yield first, last, new, 'arms swapped'


def in_returns(code, begin, end, head):
    is_bool = re.search(r'\bbool\b[^(]*\(', head) is not None
    for match in re.finditer(r'\breturn ([^;]+);', code[begin:end]):
        first, last, value = begin + match.start(1), begin + match.end(1), match.group(1)
        if value in ('true', 'false', '0', '1', 'UINT64_MAX'):
            continue # constants are changed anyway
        if is_bool:
            yield first, last, f'!({value})', 'returns the opposite'
            continue
        if value != 'NULL':
            yield first, last, '0', 'returns 0'
        if value.startswith('STEP_'):
            after = {'STEP_AGAIN': 'STEP_REST', 'STEP_GONE': 'STEP_REST'}.get(value, 'STEP_AGAIN')
            yield first, last, after, f'returns {after}'


def in_phases(code, begin, end):
    """What comes next: a phase too early or too late."""
    others = {'BATCH__RELEASE': 'BATCH__ENDED', 'BATCH__ENDED': 'BATCH__RELEASE',
              'BATCH__CLOSED': 'BATCH__COMPLETE', 'BATCH__COMPLETE': 'BATCH__CLOSED'}
    for match in re.finditer(r'(?<= [=?:] )(BATCH__(?:RELEASE|ENDED|CLOSED|ANSWER))\b',
                             code[begin:end]):
        after = others[match.group()]
        yield begin + match.start(), begin + match.end(), after, f'{match.group()} to {after}'


def find(file, source):
    """All mutants of a file, in the order of their places, each with a name of its own: the line
    as it is written and what is done to it, and not its number, which any change would move."""
    code = masked(source)
    lines = source.split('\n')
    mutants, seen = [], {}
    for function, head, begin, end in functions(code):
        places = []
        for search in (in_operators, in_constants, in_statements, in_conditions, in_phases):
            places += search(code, begin, end)
        places += in_returns(code, begin, end, head)
        for start, stop, new, text in sorted(places):
            line = source.count('\n', 0, start) + 1
            name = f'{file} {function}: {lines[line - 1].strip()} | {text}'
            seen[name] = seen.get(name, 0) + 1
            mutant = Mutant(file, function, line, start, stop, new, text)
            mutant.name = name if seen[name] == 1 else f'{name} (place {seen[name]})'
            mutants.append(mutant)
    return mutants
