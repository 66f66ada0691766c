/** Who may do what with the store's files: their owner alone. */
export const FILE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;
