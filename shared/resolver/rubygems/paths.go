package rubygems

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// maxLinks is how many symbolic links may lie on a path; Linux follows as many.
const maxLinks = 40

// Where a path leads that leads nowhere.
var (
	errMissing = errors.New("it does not exist")
	errOutside = errors.New("it leads out of the repository")
	errLoop    = errors.New("its symbolic links lead in a circle")
)

// realPath follows a path from a folder of the repository as a file system does, and gives the place it leads to,
// relative to the root ("." for the root itself). errMissing, errOutside, errLoop, or an error of reading.
func realPath(root *os.Root, folder, name string) (string, error) {
	if path.IsAbs(name) {
		return "", errOutside
	}
	place, links := ".", 0
	rest := strings.Split(folder+"/"+name, "/")
	for len(rest) > 0 {
		element := rest[0]
		rest = rest[1:]
		switch element {
		case "", ".":
			continue
		case "..":
			if place == "." {
				return "", errOutside
			}
			place = path.Dir(place)
			continue
		}
		next := path.Join(place, element)
		info, err := root.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENAMETOOLONG):
			return "", errMissing
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := root.Readlink(next)
			if err != nil {
				return "", err
			}
			if links++; links > maxLinks {
				return "", errLoop
			}
			if path.IsAbs(target) {
				return "", errOutside
			}
			rest = append(strings.Split(target, "/"), rest...)
		case !info.IsDir() && len(rest) > 0:
			return "", errMissing
		default:
			place = next
		}
	}
	return place, nil
}

// checkLocal refuses a gem whose folder is not in the repository. pkg is the folder of the lockfile.
func checkLocal(root *os.Root, pkg string, g localGem) error {
	shown := path.Join(pkg, g.path)
	if path.IsAbs(g.path) {
		shown = g.path
	}
	place, err := realPath(root, pkg, g.path)
	if err == nil {
		var info fs.FileInfo
		if info, err = root.Stat(place); err == nil && !info.IsDir() {
			err = errMissing
		}
	}
	switch {
	case errors.Is(err, errMissing):
		return fault.Client(fault.ValidationError, "PATH dependency %s references a non-existing path: %s.", g.name, shown)
	case errors.Is(err, errLoop):
		return fault.Client(fault.ValidationError, "Path of PATH dependency %s contains an infinite loop: %s.", g.name, shown)
	case errors.Is(err, errOutside):
		return fault.Client(fault.ValidationError, "%s is not a subpath of the repository (PATH dependency %s)", shown, g.name)
	}
	return err
}
