package pip

import (
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// MaxLineOptions bounds the options of one requirement: each of its files has a hash, and the most that are
// known have some 300.
const MaxLineOptions = 2000

// optionRule says what an option of a requirements file is.
type optionRule struct {
	long string // the name that an alias stands for
	// takesValue: "--x v" or "--x=v".
	takesValue bool
	// ofRequirement: it stands behind a requirement and means nothing alone.
	ofRequirement bool
	// refused ones are Cachito's decision: they would bring files from elsewhere, or wheels.
	refused bool
}

// optionRules are pip's options for requirements files
// (https://pip.pypa.io/en/stable/reference/requirements-file-format/).
var optionRules = map[string]optionRule{
	"--hash":            {long: "--hash", takesValue: true, ofRequirement: true},
	"-e":                {long: "--editable", ofRequirement: true}, // its value is the requirement
	"--editable":        {long: "--editable", ofRequirement: true},
	"--config-settings": {long: "--config-settings", takesValue: true, ofRequirement: true},
	"--config-setting":  {long: "--config-settings", takesValue: true, ofRequirement: true},
	"-C":                {long: "--config-settings", takesValue: true, ofRequirement: true},
	"--global-option":   {long: "--global-option", takesValue: true, ofRequirement: true},
	"--install-option":  {long: "--install-option", takesValue: true, ofRequirement: true},

	"--require-hashes": {long: "--require-hashes"},
	"--trusted-host":   {long: "--trusted-host", takesValue: true},
	"-i":               {long: "--index-url", takesValue: true},
	"--index-url":      {long: "--index-url", takesValue: true},
	"-r":               {long: "--requirement", takesValue: true},
	"--requirement":    {long: "--requirement", takesValue: true},
	"-c":               {long: "--constraint", takesValue: true},
	"--constraint":     {long: "--constraint", takesValue: true},
	"--no-binary":      {long: "--no-binary", takesValue: true},
	"--pre":            {long: "--pre"},
	"--prefer-binary":  {long: "--prefer-binary"},
	"--use-feature":    {long: "--use-feature", takesValue: true},

	"--extra-index-url": {long: "--extra-index-url", takesValue: true, refused: true},
	"--no-index":        {long: "--no-index", refused: true},
	"-f":                {long: "--find-links", takesValue: true, refused: true},
	"--find-links":      {long: "--find-links", takesValue: true, refused: true},
	"--only-binary":     {long: "--only-binary", takesValue: true, refused: true},
}

// fileOption is an option as it is written in a requirements file.
type fileOption struct {
	optionRule
	name  string
	value string
	// between the name and the value: " ", "=", or nothing (-rv).
	between string
}

func (o fileOption) String() string {
	if !o.takesValue {
		return o.name
	}
	return o.name + o.between + o.value
}

// parseLine takes the options off a line; what is left is its requirement, "" when there is none.
func parseLine(line string) (requirement string, options []fileOption, err error) {
	words := strings.Fields(line)
	var rest []string
	for i := 0; i < len(words); i++ {
		word := words[i]
		if !strings.HasPrefix(word, "-") {
			rest = append(rest, word)
			continue
		}
		o, hasValue, err := findOption(word)
		if err != nil {
			return "", nil, err
		}
		if o.takesValue && !hasValue {
			if i++; i == len(words) {
				return "", nil, fault.Client(fault.ValidationError, "Requirements file option %s requires a value", pyrepr.String(o.name))
			}
			o.between, o.value = " ", words[i]
		}
		if o.ofRequirement && o.takesValue {
			for openQuote(o.value) && i+1 < len(words) { // "--global-option=--x y"
				i++
				o.value += " " + words[i]
			}
		}
		if options = append(options, o); len(options) > MaxLineOptions {
			return "", nil, fault.Client(fault.UnsupportedFeature, "There are more than %d options on one line of a requirements file", MaxLineOptions)
		}
	}
	requirement = strings.Join(rest, " ")
	if requirement == "" {
		if alone := onlyOfRequirements(options); len(alone) > 0 {
			return "", nil, fault.Client(fault.ValidationError, "Requirements file option(s) %s can only be applied to a requirement", pyrepr.Value(alone))
		}
	}
	return requirement, options, nil
}

// findOption reads a word that begins with "-": "--x", "--x=v", and "-rv" for the short ones with a value.
func findOption(word string) (o fileOption, hasValue bool, err error) {
	name, value, equal := strings.Cut(word, "=")
	rule, ok := optionRules[name]
	if !ok && len(word) > 2 && word[1] != '-' {
		if short, found := optionRules[word[:2]]; found && short.takesValue {
			return fileOption{optionRule: short, name: word[:2], value: word[2:]}, true, nil
		}
	}
	switch {
	case !ok:
		return o, false, fault.Client(fault.ValidationError, "Unknown requirements file option %s", pyrepr.String(word))
	case equal && !rule.takesValue:
		return o, false, fault.Client(fault.ValidationError, "Unexpected value for requirements file option %s", pyrepr.String(word))
	case equal && value == "":
		return o, false, fault.Client(fault.ValidationError, "Requirements file option %s requires a value", pyrepr.String(name))
	}
	return fileOption{optionRule: rule, name: name, value: value, between: "="}, equal, nil
}

// openQuote reports whether a value has a quote that is not closed.
func openQuote(value string) bool {
	return strings.Count(value, `"`)%2 == 1 || strings.Count(value, "'")%2 == 1
}

// onlyOfRequirements are the words of the options that need a requirement.
func onlyOfRequirements(options []fileOption) []any {
	var words []any
	for _, o := range options {
		if !o.ofRequirement {
			continue
		}
		words = append(words, o.name)
		if o.takesValue {
			words = append(words, o.value)
		}
	}
	return words
}

// refuse is the error for options that are not supported, of a whole file; nil when there are none.
func refuse(options []fileOption) error {
	var names []string
	for _, o := range options {
		if o.refused && !slices.Contains(names, o.name) {
			names = append(names, o.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fault.Client(fault.ValidationError, "Cachito does not support the following options: %s", strings.Join(names, ", "))
}
