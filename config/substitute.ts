/** Variables of the environment in a text: `${VAR}`, `${VAR:-default}`; `$${` stands for `${`. */

export interface Substitution {
  text: string;
  /** The variables that were looked up, set or not. */
  names: string[];
  /** One message for each variable that is not set or not a name. They name variables, never values. */
  mistakes: string[];
}

/** Like a shell, the default is also used for a variable that is set and empty. What a variable holds is not looked at again. */
export function substitute(text: string, env: NodeJS.ProcessEnv): Substitution {
  const names: string[] = [];
  const mistakes: string[] = [];
  const replaced = text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (all: string, inner: string | undefined, close: string) => {
    if (inner === undefined) return '${';
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner);
    if (match === null || close === '') {
      mistakes.push('${ is not followed by the name of a variable and }; write $${ for the two characters themselves');
      return all;
    }
    const [, name = '', fallback] = match;
    names.push(name);
    const value = env[name];
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value === undefined) mistakes.push(`the environment variable ${name} is not set; write \${${name}:-default} to give a default`);
    return value ?? all;
  });
  return { text: replaced, names, mistakes };
}
