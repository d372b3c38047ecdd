package pysource

// block is a statement list: a file's, or that of a clause (an "else" is a clause of its own).
type block struct {
	statements []statement
	parent     *block
}

// statement is a simple statement, or a clause with a body. Its tokens are those of the line, or of the
// clause's header without the colon.
type statement struct {
	tokens []token
	body   *block
}

// parse makes the statement lists of a source. ErrSyntax.
func parse(src string) (*block, error) {
	tokens, err := tokenize(src)
	if err != nil {
		return nil, err
	}
	p := &treeParser{tokens: tokens}
	root := &block{}
	if err := p.block(root, kindEnd); err != nil {
		return nil, err
	}
	return root, nil
}

type treeParser struct {
	tokens []token
	at     int
	depth  int
}

func (p *treeParser) next() token { return p.tokens[p.at] }

// block reads statements up to a token that ends them.
func (p *treeParser) block(b *block, end kind) error {
	if p.depth++; p.depth > maxNesting {
		return ErrSyntax
	}
	defer func() { p.depth-- }()
	for p.next().kind != end {
		switch p.next().kind {
		case kindIndent, kindEnd, kindDedent:
			return ErrSyntax
		default:
			if err := p.line(b); err != nil {
				return err
			}
		}
	}
	p.at++
	return nil
}

// line reads a line of statements into b, with their blocks.
func (p *treeParser) line(b *block) error {
	for {
		tokens, stop := p.statement()
		if len(tokens) == 0 {
			return ErrSyntax
		}
		s := statement{tokens: tokens}
		if err := check(s, stop.is(":")); err != nil {
			return err
		}
		if stop.is(":") {
			s.body = &block{parent: b}
			b.statements = append(b.statements, s)
			return p.suite(s.body)
		}
		b.statements = append(b.statements, s)
		if stop.kind == kindNewline {
			return nil
		}
		if p.next().kind == kindNewline { // "a;"
			p.at++
			return nil
		}
	}
}

func (p *treeParser) suite(b *block) error {
	if p.next().kind != kindNewline {
		return p.line(b)
	}
	p.at++
	if p.next().kind != kindIndent {
		return ErrSyntax
	}
	p.at++
	return p.block(b, kindDedent)
}

// statement reads the tokens of one statement and what ended it: a newline, ";", or the ":" of a clause.
func (p *treeParser) statement() ([]token, token) {
	start, depth, lambdas := p.at, 0, 0
	clause := p.isClause()
	for ; ; p.at++ {
		t := p.tokens[p.at]
		switch {
		case t.is(";") && depth > 0:
			return nil, t // which no statement may be
		case t.kind == kindNewline, t.is(";"):
			p.at++
			return p.tokens[start : p.at-1], t
		case t.is("("), t.is("["), t.is("{"):
			depth++
		case t.is(")"), t.is("]"), t.is("}"):
			depth--
		case depth > 0:
		case t.named("lambda"):
			lambdas++
		case t.is(":") && lambdas > 0:
			lambdas--
		case t.is(":") && clause:
			p.at++
			return p.tokens[start : p.at-1], t
		}
	}
}

// isClause reports whether the statement here has a block.
func (p *treeParser) isClause() bool {
	first := p.next()
	switch {
	case hasBlock(first):
		return true
	case first.named("match"), first.named("case"): // words that are keywords only here: match x:
		second := p.tokens[p.at+1]
		switch {
		case second.kind == kindNumber, second.kind == kindString, second.is("{"), second.is("-"), second.is("("), second.is("["), second.is("*"):
		case second.kind == kindName && (!second.isKeyword() || startsOperand(second)):
		default:
			return false
		}
		last := p.at
		for p.tokens[last].kind != kindNewline {
			last++
		}
		if first.text == "match" {
			return p.tokens[last-1].is(":")
		}
		for i := p.at + 1; i < last; i++ {
			if p.tokens[i].is(":") {
				return true
			}
		}
	}
	return false
}

// hasBlock reports whether a statement that begins so has a block.
func hasBlock(t token) bool {
	if t.kind != kindName {
		return false
	}
	switch t.text {
	case "if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class", "async":
		return true
	}
	return false
}

// check finds what commonly makes a statement invalid: two operands side by side (Python 2's print x),
// operators without an operand between them (<>), a clause without its colon, commas of Python 2.
func check(s statement, clause bool) error {
	first := s.tokens[0]
	if hasBlock(first) && !clause {
		return ErrSyntax
	}
	depth := 0
	for i, t := range s.tokens {
		switch {
		case t.is("("), t.is("["), t.is("{"):
			depth++
		case t.is(")"), t.is("]"), t.is("}"):
			depth--
		case t.is(",") && depth == 0 && (first.named("except") || first.named("raise")):
			return ErrSyntax
		}
		if i == 0 {
			continue
		}
		before := s.tokens[i-1]
		soft := i == 1 && before.kind == kindName && (before.text == "match" || before.text == "case" || before.text == "type")
		switch {
		case endsOperand(before) && startsOperand(t) && !soft && (before.kind != kindString || t.kind != kindString):
			return ErrSyntax
		case isBinary(before) && isBinary(t) && !first.named("from"): // from ..a import b
			return ErrSyntax
		}
	}
	if isBinary(s.tokens[len(s.tokens)-1]) || s.tokens[len(s.tokens)-1].is("=") {
		return ErrSyntax
	}
	return nil
}

// endsOperand: an operator, or nothing, must follow. Closing brackets are treated as such; "print (x) y" is.
func endsOperand(t token) bool {
	switch t.kind {
	case kindNumber, kindString:
		return true
	case kindName:
		return !t.isKeyword() || t.text == "None" || t.text == "True" || t.text == "False"
	case kindOperator:
		return t.text == ")" || t.text == "]" || t.text == "}"
	}
	return false
}

// startsOperand: it cannot follow an operand. Brackets can (a call, an index).
func startsOperand(t token) bool {
	switch t.kind {
	case kindNumber, kindString:
		return true
	case kindName:
		switch t.text {
		case "None", "True", "False", "lambda", "await", "yield":
			return true
		}
		return !t.isKeyword()
	}
	return false
}

// isBinary: it stands between two operands and cannot follow another such operator.
func isBinary(t token) bool {
	if t.kind != kindOperator {
		return false
	}
	switch t.text {
	case "<", ">", "<=", ">=", "==", "!=", "|", "&", "^", "<<", ">>", "%", "//", ".":
		return true
	}
	return false
}
