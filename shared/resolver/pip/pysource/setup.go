package pysource

// Setup is what a setup.py passes to setup().
type Setup struct{ Name, Version Value }

// ReadSetup finds the first call of setup(...) or setuptools.setup(...) in a source, in source order,
// wherever the name comes from, and evaluates its keyword arguments name and version: literals, or
// variables that are assigned a literal before. Nothing else is resolved. A name that is no string is
// none. Without such a call the Setup is empty. ErrSyntax.
func ReadSetup(src string) (Setup, error) {
	root, err := parse(src)
	if err != nil {
		return Setup{}, err
	}
	call, in := findSetup(root)
	if call == nil {
		return Setup{}, nil
	}
	s := Setup{Name: argument(call, in, "name"), Version: argument(call, in, "version")}
	if !s.Name.IsString {
		s.Name = Value{}
	}
	return s, nil
}

// Argument finds a keyword argument of the same call that ReadSetup reads: the strings of a literal, or of a
// list of them. nil when there is none. ErrSyntax.
func Argument(src, name string) ([]string, error) {
	root, err := parse(src)
	if err != nil {
		return nil, err
	}
	call, _ := findSetup(root)
	if call == nil {
		return nil, nil
	}
	var list []string
	for _, part := range split(call[1 : len(call)-1]) {
		if len(part) < 3 || !part[0].named(name) || !part[1].is("=") {
			continue
		}
		value := part[2:]
		if (value[0].is("[") || value[0].is("(")) && closing(value) == len(value)-1 {
			value = value[1 : len(value)-1]
		}
		for _, item := range split(value) {
			if len(item) > 0 {
				if v, ok := stringLiteral(item); ok {
					list = append(list, v.Text)
				}
			}
		}
	}
	return list, nil
}

// Attribute is the value of a module's variable: of the last plain assignment on its top level. It is
// the zero Value when there is none, or when that is no literal. ErrSyntax.
func Attribute(src, name string) (Value, error) {
	root, err := parse(src)
	if err != nil {
		return Value{}, err
	}
	v, _ := root.lookUp(name, int(^uint(0)>>1))
	return v, nil
}

// findSetup returns the tokens of the call, from its "(" to the ")", and the list its statement is in.
func findSetup(b *block) ([]token, *block) {
	for _, s := range b.statements {
		for i := range s.tokens {
			if isSetup(s.tokens, i) {
				rest := s.tokens[i+1:]
				return rest[:closing(rest)+1], b
			}
		}
		if s.body != nil {
			if call, in := findSetup(s.body); call != nil {
				return call, in
			}
		}
	}
	return nil, nil
}

func isSetup(tokens []token, i int) bool {
	if !tokens[i].named("setup") || i+1 >= len(tokens) || !tokens[i+1].is("(") {
		return false
	}
	if i == 0 {
		return true
	}
	switch before := tokens[i-1]; {
	case before.named("def"), before.named("class"):
		return false
	case before.is("."):
		return i >= 2 && tokens[i-2].named("setuptools") && (i == 2 || !tokens[i-3].is("."))
	}
	return true
}

// argument evaluates a keyword argument of a call.
func argument(call []token, in *block, name string) Value {
	for _, part := range split(call[1 : len(call)-1]) {
		if len(part) < 3 || !part[0].named(name) || !part[1].is("=") {
			continue
		}
		value := unwrapped(part[2:])
		if len(value) == 1 && value[0].kind == kindName && !value[0].isKeyword() {
			return variable(value[0].text, in, call[0].line)
		}
		v, _ := literal(value)
		return v
	}
	return Value{}
}

// variable looks for an assignment in the lists around a call, from the inside to the outside. The
// first list that assigns it before the call's line decides.
func variable(name string, in *block, line int) Value {
	for b := in; b != nil; b = b.parent {
		if v, found := b.lookUp(name, line); found {
			return v
		}
	}
	return Value{}
}

// lookUp finds the last assignment of the list that begins before a line.
func (b *block) lookUp(name string, line int) (Value, bool) {
	for i := len(b.statements) - 1; i >= 0; i-- {
		s := b.statements[i]
		if s.body != nil || s.tokens[0].line >= line {
			continue
		}
		if value, ok := assigned(s.tokens, name); ok {
			v, _ := literal(value)
			return v, true
		}
	}
	return Value{}, false
}

// assigned returns the right side of "name = value", also in "name = other = value".
func assigned(tokens []token, name string) ([]token, bool) {
	found := false
	for len(tokens) >= 3 && tokens[1].is("=") && tokens[0].kind == kindName {
		found = found || tokens[0].text == name
		tokens = tokens[2:]
	}
	return tokens, found
}
