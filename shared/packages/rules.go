package packages

// Rules finds the rule of a package type. Types without one appear in no document.
type Rules map[string]Rule

// RulesOf puts lists of rules together.
func RulesOf(lists ...[]Rule) Rules {
	rules := Rules{}
	for _, list := range lists {
		for _, r := range list {
			rules[r.Type] = r
		}
	}
	return rules
}
