"""Templates that want to reach, run or eat what is not theirs: each under the name of what it tries."""

DATA = {"name": "Ada", "items": [1, 2, 3], "nested": {"a": {"b": "c"}}}
_DOUBLE = "".join(f"{{% set a{n + 1} = a{n} ~ a{n} %}}" for n in range(40))
_NEST = "".join(f"{{% set a{n + 1} = [a{n}, a{n}] %}}" for n in range(60))

# Refused when they are registered.
REFUSED = {
    "include of what is not there": "{% include 'x' %}",
    "import of what is not there": "{% import 'x' as y %}",
    "from import of what is not there": "{% from 'x' import y %}",
    "include of a file": "{% include '/etc/passwd' %}",
    "include by the fields": "{% include name %}",
    "extends by variable": "{% extends name %}",
    "extends upwards": "{% extends '../accessioning_failure_plain/template.html' %}",
    "extends absolutely": "{% extends '/etc/passwd' %}",
    "extends a list": "{% extends [name] %}",
    "extends encoded": "{% extends '..%2f..%2fpyproject.toml' %}",
    "escaping by an expression": "{% autoescape ('a' * 10**9)|length > 1 %}{{ name }}{% endautoescape %}",
    "dunder": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "dunder of a macro": "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
    "unknown filter": "{{ name|system }}",
    "unknown test": "{{ name is readable }}",
    "deep brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "many tags": "{{ 1 }}" * 20_000,
    "large source": "x" * (256 * 1024 + 1),
    "nested loops": "{% for i in range(2) %}" * 30 + "x" + "{% endfor %}" * 30,
}

# Rendered without a message coming of it, each for a reason that is said.
CONTAINED = {
    "string times": "{{ 'a' * 10**9 }}",
    "times string": "{{ 1000000000 * 'a' }}",
    "list times": "{{ ([0] * 10**9)|length }}",
    "list of lists times": "{% set a = [0] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c }}",
    "power": "{{ 9 ** 999999999 }}",
    "power and times": "{% set a = 2 ** 4000 %}{{ a * a * a }}",
    "percent format": "{{ '%0999999999d' % 1 }}",
    "filter format": "{{ '%0999999999d'|format(1) }}",
    "filter format by star": "{{ '%*d'|format(999999999, 1) }}",
    "filter center": "{{ 'a'|center(999999999) }}",
    "filter indent": "{{ 'a'|indent(999999999, true) }}",
    "filter xmlattr": "{{ {'a b': 1}|xmlattr }}",
    "filter attr": "{{ ''|attr('__class__') }}",
    "filter attr by map": "{{ ['']|map('attr', '__class__')|join }}",
    "range": "{{ range(10**9)|length }}",
    "loops in loops": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "loops that write": "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxxxx{% endfor %}{% endfor %}",
    "loops in a block set": "{% set x %}{% for a in range(99999) %}" + "y" * 9999 + "{% endfor %}{% endset %}{{ x }}",
    "block repeated": "{% block b %}{% for a in range(99999) %}"
    + "y" * 9999
    + "{% endfor %}{% endblock %}{{ self.b() }}",
    "block that calls itself": "{% block b %}{{ self.b() }}{% endblock %}",
    "macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macro that doubles": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}x{% endmacro %}{{ m(40) }}",
    "caller that doubles": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call m() %}" * 18
    + "x" * 999
    + "{% endcall %}" * 18,
    "recursive loop": "{% for x in range(9) recursive %}{{ loop(range(99999)) }}{% endfor %}",
    "doubled string": "{% set a0 = 'aaaaaaaaaa' %}" + _DOUBLE + "{{ a40|length }}",
    "doubled by plus": "{% set a0 = 'aaaaaaaaaa' %}" + _DOUBLE.replace("~", "+") + "{{ a40|length }}",
    "doubled in a namespace": "{% set ns = namespace(a='aaaaaaaaaa') %}"
    "{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a|length }}",
    "nested lists": "{% set a0 = [1] %}" + _NEST + "{{ a60 }}",
    "nested lists compared": "{% set a0 = [1] %}" + _NEST + "{% set b = a60 %}" + _NEST + "{{ b == a60 }}",
    "nested mappings": "{% set a0 = {} %}"
    + _NEST.replace("[", "{'x': ").replace(", a", ", 'y': a").replace("]", "}")
    + "{{ a60 }}",
    "lists doubled by plus": "{% set a0 = [1] %}" + _DOUBLE.replace("~", "+") + "{{ a40|length }}",
    "replace": "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}",
    "join": "{{ range(100000)|join('x' * 100000) }}",
    "batch": "{{ [1]|batch(10**9, 'x')|list }}",
    "slice": "{{ [1]|slice(10**9)|list }}",
    "round": "{{ 1.5|round(10**9, 'ceil') }}",
    "number": "{{ '1e999999999'|number }}",
    "lipsum": "{{ lipsum(10**7) }}",
    "cycler without end": "{% set c = cycler('a', 'b') %}{% for i in range(99999) %}{% for j in range(99999) %}"
    "{{ c.next() }}{% endfor %}{% endfor %}",
    "joiner without end": "{% set j = joiner('x' * 9999) %}{% for i in range(99999) %}{{ j() }}{% endfor %}",
    "wordwrap": "{{ ('a ' * 4000000)|wordwrap(1)|wordwrap(1) }}",
    "date directives": "{{ '2026-01-01'|date('%0999999999d') }}",
    "date length": "{{ '2026-01-01'|date('%A' * 100000) }}",
    "date language": "{{ '2026-01-01'|date('long', '../../../etc/passwd') }}",
    "str.format": "{{ '{0.__class__}'.format(1) }}",
    "str.format of an item": "{{ '{0[__class__]}'.format(nested) }}",
    "str.format width": "{{ '{:>999999999}'.format(1) }}",
    "str.format by a filter": "{{ ['{0.__class__.__mro__}']|map(attribute='format')|map('string')|first }}"
    "{% for f in ['{0.__class__}']|map(attribute='format') %}{{ f(1) }}{% endfor %}",
    "str.format as a macro": "{% set f = '{0.__globals__}'.format %}{% macro m() %}{% endmacro %}{{ f(m) }}",
    "str.format_map": "{{ '{a.__class__}'.format_map(nested) }}",
    "str.zfill": "{{ 'x'.zfill(10**9) }}",
    "str.ljust": "{{ 'x'.ljust(10**9) }}",
    "str.expandtabs": "{{ '\t'.expandtabs(10**9) }}",
    "str.translate": "{{ ('a' * 10**6).translate({97: 'b' * 10**6}) }}",
    "item dunder": "{{ name['__class__'] }}",
    "item dunder in pieces": "{{ name['__cl' ~ 'ass__']['__mro__'] }}",
    "map by attribute": "{{ [name]|map(attribute='__class__')|join }}",
    "map by attributes": "{{ [name]|map(attribute='upper.__self__.__class__')|join }}",
    "select by attribute": "{{ [name]|selectattr('__class__')|map(attribute='__class__')|map('string')|list }}"
    "{{ name.__init__ if false else name['__doc__'] }}",
    "group by attribute": "{% for g, l in [name]|groupby('__class__') %}{{ g }}{% endfor %}",
    "macro internals": "{% macro m() %}{% endmacro %}{{ m['_func'] }}",
    "macro's function": "{% macro m() %}{% endmacro %}{{ m|attr('_func')|attr('__globals__') }}",
    "macro's environment": "{% macro m() %}{% endmacro %}{{ m._environment.globals }}",
    "caller's globals": "{% macro m() %}{{ caller['__func__'] }}{{ caller._func }}{% endmacro %}"
    "{% call m() %}{% endcall %}",
    "namespace internals": "{% set ns = namespace() %}{{ ns['_Namespace__attrs'] ~ ns.x }}{{ namespace['__init__'] }}",
    "namespace's class": "{{ namespace|attr('__init__')|attr('__globals__') }}",
    "cycler's globals": "{{ cycler['__init__']['__globals__']['os'] }}",
    "cycler's method": "{{ cycler('a').next['__func__']['__globals__'] }}",
    "joiner's globals": "{{ (joiner()|attr('__init__'))['__globals__'] }}",
    "lipsum's globals": "{{ lipsum['__globals__']['os']['popen']('id') }}",
    "dict's class": "{{ dict['__mro__'][1]['__subclasses__']() }}",
    "range's class": "{{ range['__class__'] }}",
    "loop's context": "{% for x in items %}{{ loop['_context'] }}{{ loop['_iterable'] }}{% endfor %}",
    "self's context": "{{ self['_TemplateReference__context'] }}",
    "block's context": "{% block b %}{{ self.b['_context'] }}{% endblock %}",
    "module's globals": "{% import 'base.html' as m %}{{ m['__class__'] }}{{ m|attr('__init__') }}",
    "undefined's class": "{{ nobody['__class__'] }}{{ nobody|attr('__init__') }}",
    "generator's frame": "{{ (items|map('string')).gi_frame }}",
    "generator's code": "{{ (items|select)['gi_code'] }}",
    "coroutine": "{{ (items|map('string'))|attr('gi_frame')|attr('f_back') }}",
    "list mutation": "{{ items.append(4) }}",
    "list mutation by do": "{% do items.extend([1]) %}",
    "mapping mutation": "{{ nested.update({'x': 1}) }}",
    "mapping pop": "{{ nested.pop('a') }}",
    "set by an attribute": "{% set nested.x = 1 %}",
    "cycler": "{{ cycler }}",
    "namespace": "{% set n = namespace(a=1) %}{{ n }}",
    "data called": "{{ name() }}",
    "generator printed": "{{ items|map('string') }}",
    "method printed": "{{ name.upper }}",
    "method looked into": "{{ name.upper['__self__'] }}",
    "loop internals": "{% for x in items %}{{ loop._iterable }}{% endfor %}",
    "context": "{{ self._TemplateReference__context }}",
    "map of a filter that is none": "{{ ['a']|map('system')|list }}",
    "map of an inner filter": "{{ ['a']|map('#method', '__class__')|list }}",
    "zero": "{{ 1 / 0 }}",
}

# Nothing in the language counts these while they run: only the bounds of the process hold them.
HEAVY = {
    "sorting large lists again and again": "{% for i in range(900) %}{{ (range(99999)|sort)|length }}{% endfor %}",
    "grouping large lists": "{% for i in range(900) %}{{ (range(99999)|groupby('a'))|length }}{% endfor %}",
    "JSON of large lists": "{% set a = [1] * 900000 %}{% for i in range(900) %}{{ a|tojson|length }}{% endfor %}",
    "comparing large lists": "{% set a = [1] * 900000 %}{% for i in range(9999) %}{{ a == a[:] }}{% endfor %}",
}
