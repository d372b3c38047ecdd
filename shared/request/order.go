package request

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// Flags that concern the source and the bundle. Package managers have flags of their own.
const (
	FlagIncludeGitDir        = "include-git-dir"
	FlagRemoveUnsafeSymlinks = "remove-unsafe-symlinks"
)

// Rules are what an order is checked against.
type Rules struct {
	// Managers that the API knows, in its order.
	Managers []Manager
	// Enabled ones; others are refused.
	Enabled []string
	// Defaults of an order that names none.
	Defaults []string
	// Exclusive pairs may not both process the same path.
	Exclusive [][2]string
}

// KnownFlags are all that an order may carry, sorted.
func (r Rules) KnownFlags() []string {
	list := []string{FlagIncludeGitDir, FlagRemoveUnsafeSymlinks}
	for _, m := range r.Managers {
		list = append(list, m.Flags...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Manager is what an order may say about a package manager.
type Manager struct {
	Name string
	// Options are the keys of an object in packages.<name>, in checking order; nil: it has no options.
	Options []Option
	// WholeTree: it changes the checkout as a whole. A manager that is exclusive with it may only
	// process the root.
	WholeTree bool
	// Flags that concern it. An order may carry them whether or not it names the manager.
	Flags []string
	// RefusesReplacements is its name in the sentence that refuses dependency replacements; empty
	// when it takes or ignores them.
	RefusesReplacements string
}

// Option of a package manager: a relative path, or (List) an array of them, or an object.
type Option struct {
	Name string
	List bool
	// Properties are the keys of an object of strings, integers and nulls; nil when it is no object.
	Properties []string
	// Extension: upstream does not have this key, so upstream's sentences do not list it.
	Extension bool
}

// Order is a checked body of POST /requests.
type Order struct {
	Repo, Ref string
	// PackageManagers in the API's order, each once; never nil.
	PackageManagers []string
	// Packages holds each manager's array of options.
	Packages map[string]json.RawMessage
	Flags    []string // sorted, each once; never nil
	// Replacements as they were sent.
	Replacements []Replacement
	// User that the order is for; "" when it names none.
	User string
}

// order is a body on its way to an Order.
type order struct {
	Rules
	Order
	body pyrepr.Object
	// asked are the managers in the order of the body; messages name them so.
	asked []string
}

// ParseOrder makes an order of a body that passed OrderSchema. *InvalidError. What depends on the caller
// (who may name a user) comes next, then CheckManagers.
func (r Rules) ParseOrder(body pyrepr.Object) (Order, error) {
	o := &order{Rules: r, body: body}
	o.Repo, o.Ref, o.User = text(body, "repo"), text(body, "ref"), text(body, "user")
	o.managers()
	for _, check := range []func() error{o.packages, o.exclusive, o.flags, o.replacements} {
		if err := check(); err != nil {
			return Order{}, err
		}
	}
	return o.Order, nil
}

// CheckManagers refuses managers that are not enabled, and replacements for those that take none.
// *InvalidError.
func (r Rules) CheckManagers(o Order) error {
	var off []string
	for _, name := range o.PackageManagers {
		if !slices.Contains(r.Enabled, name) {
			off = append(off, name)
		}
	}
	if len(off) > 0 {
		slices.Sort(off)
		return invalid("The following package managers are not enabled: %s", strings.Join(off, ", "))
	}
	asked := slices.Sorted(slices.Values(o.PackageManagers))
	for _, name := range asked {
		refuses := r.manager(name).RefusesReplacements
		if refuses != "" && slices.ContainsFunc(o.Replacements, func(r Replacement) bool { return r.Type == name }) {
			return invalid("Dependency replacements are not yet supported for the %s package manager", refuses)
		}
	}
	return nil
}

func (r Rules) manager(name string) Manager {
	i := slices.IndexFunc(r.Managers, func(m Manager) bool { return m.Name == name })
	if i < 0 {
		return Manager{}
	}
	return r.Managers[i]
}

func text(object pyrepr.Object, key string) string {
	v, _ := object.Get(key)
	s, _ := v.(string)
	return s
}

func (o *order) list(key string) []any {
	v, _ := o.body.Get(key)
	list, _ := v.([]any)
	return list
}

func (o *order) managers() {
	asked := o.Defaults
	if _, ok := o.body.Get("pkg_managers"); ok {
		asked = nil
		for _, v := range o.list("pkg_managers") {
			asked = append(asked, v.(string))
		}
	}
	for _, name := range asked {
		if !slices.Contains(o.asked, name) {
			o.asked = append(o.asked, name)
		}
	}
	o.PackageManagers = []string{}
	for _, m := range o.Managers {
		if slices.Contains(o.asked, m.Name) {
			o.PackageManagers = append(o.PackageManagers, m.Name)
		}
	}
}

// options are the packages object: for each manager its entries, in the order of the body.
func (o *order) options() pyrepr.Object {
	v, _ := o.body.Get("packages")
	object, _ := v.(pyrepr.Object)
	return object
}

func (o *order) packages() error {
	var unasked []string
	for _, m := range o.options() {
		if !slices.Contains(o.asked, m.Key) {
			unasked = append(unasked, m.Key)
		}
	}
	if len(unasked) > 0 {
		slices.Sort(unasked)
		return invalid(`The following package managers in the "packages" object do not apply: %s`, strings.Join(unasked, ", "))
	}
	for _, m := range o.options() {
		entries := m.Value.([]any)
		for _, entry := range entries {
			if err := checkEntry(o.manager(m.Key), entry.(pyrepr.Object)); err != nil {
				return err
			}
		}
		raw, err := json.Marshal(plain(entries))
		if err != nil {
			return err
		}
		if o.Packages == nil {
			o.Packages = map[string]json.RawMessage{}
		}
		o.Packages[m.Key] = raw
	}
	return nil
}

// plain is a decoded value in the form that encoding/json writes.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case pyrepr.Object:
		out := make(map[string]any, len(v))
		for _, m := range v {
			out[m.Key] = plain(m.Value)
		}
		return out
	}
	return v
}

func checkEntry(m Manager, entry pyrepr.Object) error {
	if len(entry) == 0 {
		keys := make([]string, 0, len(m.Options))
		for _, opt := range m.Options {
			if !opt.Extension {
				keys = append(keys, opt.Name)
			}
		}
		slices.Sort(keys)
		return invalid(`The value of "packages.%s" must be an array of objects with the following keys: %s`, m.Name, strings.Join(keys, ", "))
	}
	for _, opt := range m.Options {
		v, ok := entry.Get(opt.Name)
		if !ok || opt.Properties != nil {
			continue
		}
		values := []any{v}
		if opt.List {
			values = v.([]any)
		}
		for _, value := range values {
			p := value.(string)
			if p == "" || strings.HasPrefix(p, "/") || strings.Contains(path.Clean(p), "..") {
				return invalid(`The "%s" values in the "packages.%s" value must be to a relative path in the source repository`, opt.Name, m.Name)
			}
		}
	}
	return nil
}

// paths that a manager processes: of each entry, "." for an entry without one and for no entries at all;
// none for an empty list.
func (o *order) paths(name string) []string {
	v, ok := o.options().Get(name)
	if !ok {
		return []string{"."}
	}
	var list []string
	for _, entry := range v.([]any) {
		list = append(list, path.Clean(text(entry.(pyrepr.Object), "path")))
	}
	return list
}

// exclusive refuses two managers that must not process the same path.
func (o *order) exclusive() error {
	for _, whole := range o.asked {
		if !o.manager(whole).WholeTree {
			continue
		}
		for _, name := range o.asked {
			if name == whole || !o.paired(name, whole) {
				continue
			}
			if slices.ContainsFunc(o.paths(name), func(p string) bool { return p != "." }) {
				return invalid("Cannot process non-root packages with '%s' when '%s' is also set.\nSolution: remove the git submodules and instead process the upstream repos (corresponding to the submodules) directly. Each repo should be processed in a separate request.", name, whole)
			}
		}
	}
	for i, a := range o.asked {
		for _, b := range o.asked[i+1:] {
			if !o.paired(a, b) || o.manager(a).WholeTree || o.manager(b).WholeTree {
				continue
			}
			var common []string
			others := map[string]bool{}
			for _, p := range o.paths(b) {
				others[p] = true
			}
			for _, p := range o.paths(a) {
				if others[p] {
					common = append(common, p)
				}
			}
			if len(common) > 0 {
				slices.Sort(common)
				common = slices.Compact(common)
				return invalid("The following paths cannot be processed by both '%s' and '%s': %s", a, b, strings.Join(common, ", "))
			}
		}
	}
	return nil
}

func (o *order) paired(a, b string) bool {
	return slices.Contains(o.Exclusive, [2]string{a, b}) || slices.Contains(o.Exclusive, [2]string{b, a})
}

func (o *order) flags() error {
	o.Flags = []string{}
	var unknown []string
	known := o.KnownFlags()
	for _, v := range o.list("flags") {
		if name := v.(string); slices.Contains(known, name) {
			o.Flags = append(o.Flags, name)
		} else {
			unknown = append(unknown, name)
		}
	}
	sortedOnce := func(list []string) []string {
		slices.Sort(list)
		return slices.Compact(list)
	}
	o.Flags = sortedOnce(o.Flags)
	if len(unknown) > 0 {
		return invalid("Invalid/Inactive flag(s): %s", strings.Join(sortedOnce(unknown), ", "))
	}
	return nil
}

func (o *order) replacements() error {
	keys := []string{"name", "type", "version", "new_name"}
	for _, v := range o.list("dependency_replacements") {
		entry := v.(pyrepr.Object)
		for _, m := range entry {
			if !slices.Contains(keys, m.Key) {
				return invalid("A dependency replacement must be a JSON object with the following keys: name, type, version. It may also contain the following optional keys: new_name.")
			}
		}
		if v, _ := entry.Get("version"); v == nil {
			return invalid(`The "version" key of the dependency replacement must be a string`)
		}
		o.Replacements = append(o.Replacements, Replacement{
			Name: text(entry, "name"), Type: text(entry, "type"), Version: text(entry, "version"), NewName: text(entry, "new_name"),
		})
	}
	return nil
}
