#include "path.h"

static struct text next_component(struct text *rest) {
  struct text component = {rest->at, 0};
  while (component.size < rest->size && component.at[component.size] != '/') component.size++;
  size_t taken = component.size + (component.size < rest->size);
  rest->at += taken, rest->size -= taken;
  return component;
}

void append(struct path *path, struct text components) {
  while (components.size) {
    struct text component = next_component(&components);
    if (!component.size || is(component, TEXT("."))) continue;
    if (is(component, TEXT(".."))) {
      while (path->size && path->at[--path->size] != '/') {}
      continue;
    }
    path->at[path->size++] = '/';
    memcpy(path->at + path->size, component.at, component.size);
    path->size += component.size;
  }
}

struct text name_of(const struct path *path) {
  return basename_of((struct text){path->at, path->size});
}
