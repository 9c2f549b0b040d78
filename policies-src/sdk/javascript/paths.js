// Paths as text: there is no file system in a policy, so links are not followed.

export function normal(path) {
  if (!path.startsWith("/")) return path;
  const kept = [];
  for (const part of path.split("/")) {
    if (part === "..") kept.pop();
    else if (part !== "" && part !== ".") kept.push(part);
  }
  return "/" + kept.join("/");
}

export function within(path, folder) {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : folder + "/");
}
