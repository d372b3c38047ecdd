package web

// tabLink is an entry of a request's own navigation.
type tabLink struct {
	Href, Name, Count string
	Here              bool
}

// newTab describes a tab of a request. count may be nil, an int or an *int64 that is nil.
func newTab(d detail, name, shown string, count any) tabLink {
	t := tabLink{Href: d.Prefix, Name: shown, Here: d.Tab == name}
	if name != "" {
		t.Href += "/" + name
	}
	switch n := count.(type) {
	case int:
		t.Count = number(n)
	case *int64:
		if n != nil {
			t.Count = number(*n)
		}
	}
	return t
}

// searchForm is the form above a list of contents.
type searchForm struct {
	Label, Action, Query string
	Package              int
}

func newSearch(label string, c contents) searchForm {
	return searchForm{Label: label, Action: "?", Query: c.Query, Package: c.Package}
}

// wrongText is what is wrong with a field of the form.
type wrongText struct{ Field, Text string }

func newWrong(f *orderForm, field string) wrongText { return wrongText{field, f.Errors[field]} }
