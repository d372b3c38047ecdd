// Prints testdata/minimatch.json: which paths npm's own minimatch finds for each pattern, with the options of
// ignore-walk. Run: node minimatch.js "$(npm root -g)/npm/node_modules/minimatch" > minimatch.json
const { Minimatch } = require(process.argv[2])
const patterns = [
  '*', '*.js', 'a/*', 'a/**', '**/a', '**', 'a/**/b', '/foo', '/foo/*', 'foo/', '!foo', '!!foo', 'a{b,c}d',
  '{a,b}/{c,d}', 'a{b}', 'a{,b{c,d}}', 'readme{,.*[^~$]}', '.*.swp', '._*', '**/._*/**', '[a-c]x', '[!a]x', '[]a]', '[', 'a[',
  '+(a|b)', '@(a|b).js', '!(a)', '?(a)b', '*(ab)c', 'x!(a)y', 'a?c', '\\*', 'a\\b', './foo', 'a/./b', 'a/../b', 'a//b',
  '**/**/x', 'a/**/', '/**', '**/node_modules/**', '[[:alpha:]]1', '*.{js,ts}', '${a,b}', 'a/b', 'A', 'ä*',
  '+(a|+(b))', 'a(b)', '*(', '**a', 'a**b', '!(a|b).js', '*/', '*/*', 'x/../..', 'a/*/../b', '/',
]
const paths = [
  '', 'a', 'b', 'foo', '/foo', 'foo/', '/foo/', 'a/b', '/a/b', 'a/', '/a/', 'a/b/c', 'a/x/y/b', 'ab', 'abd', 'acd', 'abc', 'ad', 'a/c',
  'b/d', 'readme', 'README.md', 'readme.md~', 'readme.m$', '.x.swp', '._a', 'x/._y/z', 'ax', 'dx', ']', '[', 'a[', 'js', 'x.js',
  'a.js', 'b.js', 'c.js', 'aab', 'ababc', 'xay', 'xby', 'xy', 'a.c', '*', '\\', 'a//b', 'x', 'y/x', 'a/node_modules/b',
  'node_modules/b', 'c', 'q1', '11', 'x.ts', '$a', '$b', 'A', 'Äpfel', 'a(b)', '*(', 'ba', 'axb', 'a/b.js', '.hidden', 'foo/bar',
  '/foo/bar',
]
const out = patterns.map(pattern => {
  const m = new Minimatch(pattern, { matchBase: true, dot: true, flipNegate: true, nocase: true })
  return {
    pattern,
    negate: m.negate,
    relative: m.globParts.some(part => part.length <= (part.slice(-1)[0] ? 1 : 2)),
    matches: paths.filter(p => m.match(p)),
    partial: paths.filter(p => m.match(p, true)),
  }
})
console.log(JSON.stringify({ paths, patterns: out }).replace(/\{"pattern"/g, '\n{"pattern"'))
